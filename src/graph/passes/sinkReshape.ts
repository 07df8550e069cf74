/**
 * A convolution of signals (N, C, L) is one of images of one row, between two reshapes. What stands behind it works on such images as well, where it is fused with
 * it and needs no other layout. The reshape to signals moves behind its readers, until it meets the one back:
 *
 *   conv2d -> reshape(N, C, L) -> relu -> reshape(N, C, 1, L) -> conv2d      becomes      conv2d -> relu -> conv2d
 */
import type { OpDef } from "../../core/op.js";
import { sameShape } from "../../core/shape.js";
import { reshapeOp } from "../../ops/data.js";
import type { PadAttrs } from "../../ops/pad.js";
import type { Graph, Node, Value } from "../graph.js";

/** Ops that take signals and images with the same attributes, and otherwise numbers per channel. */
const PER_CHANNEL: ReadonlySet<string> = new Set([
  "batchNorm",
  "instanceNorm",
  "groupNorm",
  "channelNorm",
  "localResponseNorm",
  "globalAvgPool",
  "globalMaxPool",
]);

/** (N, C, L) -> (N, C, 1, L); shapes of less than two axes broadcast to both. */
const withRow = (shape: readonly number[]): number[] =>
  shape.length < 2 ? [...shape] : [...shape.slice(0, -1), 1, ...shape.slice(-1)];

/** The image of one row that a value is as a signal. */
function imageOf({ producer, type }: Value): Value | undefined {
  if (producer?.op.name !== "reshape" || type.dtype !== "float32") return undefined;
  const [image] = producer.inputs;
  const isSignal = type.shape.length === 3 && sameShape(image.type.shape, withRow(type.shape));
  return isSignal ? image : undefined;
}

/** What is read beside an image: one too, or a constant that broadcasts. */
function operand(graph: Graph, value: Value): Value | undefined {
  const { constant, name } = value;
  if (!constant || constant.shape.length > 3) return imageOf(value);
  return graph.constant(constant.reshape(withRow(constant.shape)), name);
}

const padsWithRow = ({ pads, ...rest }: PadAttrs): PadAttrs => ({
  ...rest,
  pads: [...pads.slice(0, 2), 0, ...pads.slice(2, 5), 0, ...pads.slice(5)],
});

/** What a node does to signals, done to images: its inputs and attributes there. */
function onImages(graph: Graph, { op, inputs, attrs }: Node): [Value[], object] | undefined {
  const [image] = inputs.map(imageOf);
  const all = (): Value[] | undefined => {
    const operands = inputs.map((value) => operand(graph, value));
    return operands.every((value) => value !== undefined) ? operands : undefined;
  };
  if (op.elementwise && inputs.some(imageOf)) {
    const operands = all();
    return operands && [operands, attrs];
  }
  if (!image) return undefined;
  if (PER_CHANNEL.has(op.name)) return [[image, ...inputs.slice(1)], attrs];
  if (op.name === "pad") return [[image], padsWithRow(attrs as PadAttrs)];
  if (op.name !== "concat" || (attrs as { axis: number }).axis !== 1) return undefined;
  const operands = all();
  return operands && [operands, attrs];
}

export const sinkReshape = {
  name: "sinkReshape",
  apply(graph: Graph): number {
    let changes = 0;
    for (const node of [...graph.nodes]) {
      const { outputs } = node;
      const found =
        outputs.length === 1 && outputs[0].type.dtype === "float32" && onImages(graph, node);
      if (!found) continue;
      const image = graph.insertBefore(node, node.op, ...found);
      graph.replace(node, reshapeOp as OpDef, image, { shape: outputs[0].type.shape });
      changes++;
    }
    return changes;
  },
};
