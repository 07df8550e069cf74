/**
 * Parts of a network that work with channels last, as ConvNeXt's blocks do, have their counterparts with channels first, which run on images in blocks and
 * need no transposes around them. A transpose to channels last moves behind its reader, until it meets the one back:
 *
 *   transpose(0, 2, 3, 1) -> layerNorm -> linear -> gelu -> transpose(0, 3, 1, 2)      becomes      channelNorm -> conv2d(1x1) -> gelu
 */
import type { OpDef } from "../../core/op.js";
import { sameShape } from "../../core/shape.js";
import { Tensor } from "../../core/tensor.js";
import { conv2dOp } from "../../ops/conv2d.js";
import { transposeOp } from "../../ops/data.js";
import { channelNormOp, type LayerNormAttrs } from "../../ops/norm.js";
import { unaryOps } from "../../ops/unary.js";
import type { Graph, Node, Value } from "../graph.js";

const LAST = [0, 2, 3, 1];
const FIRST = [0, 3, 1, 2];

const isTranspose = (node: Node | undefined, perm: readonly number[]): node is Node =>
  node?.op.name === "transpose" && sameShape((node.attrs as { perm: number[] }).perm, perm);

/** The image that a value is with its channels last, if the transpose is for one reader alone. */
function imageOf(graph: Graph, value: Value): Value | undefined {
  if (!isTranspose(value.producer, LAST) || !graph.isReadOnce(value)) return undefined;
  return value.type.dtype === "float32" ? value.producer.inputs[0] : undefined;
}

type Piece = { op: OpDef; inputs: Value[]; attrs: object };

const asConstant = (
  graph: Graph,
  { name }: Value,
  tensor: Tensor,
  shape: readonly number[],
): Value => graph.constant(tensor.reshape(shape), name);

/** An operand that is one number, or one per channel. */
function operand(graph: Graph, value: Value, channels: number): Value | undefined {
  const { constant } = value;
  if (constant?.size === 1) return asConstant(graph, value, constant, []);
  const perChannel = constant?.size === channels && constant.shape.at(-1) === channels;
  return perChannel ? asConstant(graph, value, constant, [channels, 1, 1]) : undefined;
}

/** An elementwise op: on one image, two, or an image and a constant. */
function elementwise(
  graph: Graph,
  { op, inputs, attrs, outputs: [y] }: Node,
  at: number,
  x: Value,
): Piece | undefined {
  if (inputs.length === 1) return { op, inputs: [x], attrs };
  if (inputs.length > 2 || !sameShape(y.type.shape, inputs[at].type.shape)) return undefined;
  const other = inputs[1 - at];
  const beside = imageOf(graph, other) ?? operand(graph, other, x.type.shape[1]);
  return beside && { op, inputs: at === 0 ? [x, beside] : [beside, x], attrs };
}

function linear(
  graph: Graph,
  { inputs: [, weight, ...bias], attrs }: Node,
  x: Value,
): Piece | undefined {
  if (!weight.constant) return undefined;
  const kernel = asConstant(graph, weight, weight.constant, [...weight.type.shape, 1, 1]);
  const window = { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 };
  return { op: conv2dOp as OpDef, inputs: [x, kernel, ...bias], attrs: { ...window, ...attrs } };
}

function layerNorm(
  graph: Graph,
  { inputs: [, scale, bias], attrs }: Node,
  x: Value,
): Piece | undefined {
  const { axis, eps } = attrs as LayerNormAttrs;
  const channels = [x.type.shape[1]];
  const shift = bias ? bias.constant : Tensor.zeros(channels);
  if (axis !== 3 || scale.constant?.size !== channels[0] || shift?.size !== channels[0])
    return undefined;
  const factors = asConstant(graph, scale, scale.constant, channels);
  return {
    op: channelNormOp as OpDef,
    inputs: [x, factors, asConstant(graph, bias ?? scale, shift, channels)],
    attrs: { eps },
  };
}

/** What a node does to images with channels last, done to images as they are. */
function channelsFirst(graph: Graph, node: Node): Piece | undefined {
  const { op, inputs, outputs } = node;
  const at = inputs.findIndex((value) => imageOf(graph, value));
  const x = at < 0 ? undefined : imageOf(graph, inputs[at]);
  if (!x || outputs.length !== 1 || outputs[0].type.dtype !== "float32") return undefined;
  if (op.elementwise) return elementwise(graph, node, at, x);
  if (at !== 0) return undefined;
  if (op.name === "linear") return linear(graph, node, x);
  return op.name === "layerNorm" ? layerNorm(graph, node, x) : undefined;
}

export const sinkTranspose = {
  name: "sinkTranspose",
  apply(graph: Graph): number {
    let changes = 0;
    for (const node of [...graph.nodes]) {
      const [value] = node.inputs;
      if (isTranspose(node, FIRST) && isTranspose(value.producer, LAST)) {
        const [image] = value.producer.inputs;
        // A value that is asked for by name keeps its node.
        if (graph.isOutput(node.outputs[0])) {
          graph.replace(node, unaryOps.identity, [image], {});
        } else {
          graph.redirect(node.outputs[0], image);
          graph.remove(node);
        }
        changes++;
        continue;
      }
      const piece = channelsFirst(graph, node);
      if (!piece) continue;
      const image = graph.insertBefore(node, piece.op, piece.inputs, piece.attrs);
      graph.replace(node, transposeOp as OpDef, image, { perm: LAST });
      changes++;
    }
    return changes;
  },
};
