/**
 * Joins a 1x1 convolution and the depthwise convolution that alone reads it (ops/pointwiseDepthwise.ts):
 *
 *   x -> conv2d(1x1) -> conv2d(depthwise)      becomes      x -> pointwiseDepthwise
 *
 * Images in blocks only: with others, the kernels have nothing to gain.
 */
import { sizeOf } from "../../core/shape.js";
import { Tensor } from "../../core/tensor.js";
import { type Conv2dAttrs, conv2dOp, convInputs } from "../../ops/conv2d.js";
import { pointwiseDepthwiseOp } from "../../ops/pointwiseDepthwise.js";
import type { Graph, Node, Value } from "../graph.js";

const attrsOf = (node: Node): Conv2dAttrs => node.attrs as Conv2dAttrs;

/** A convolution of an image in blocks, with constant weights and nothing added. */
function isPlainConv({ op, attrs, inputs, outputs }: Node): boolean {
  const images = [inputs[0], outputs[0]];
  return (
    op.name === conv2dOp.name &&
    !(attrs as Conv2dAttrs).residual &&
    images.every(({ layout, type }) => layout === "blocked" && type.dtype === "float32") &&
    inputs.slice(1).every(({ constant }) => constant !== undefined)
  );
}

function isPointwise(node: Node): boolean {
  const { stride, padding, groups } = attrsOf(node);
  const { shape } = node.inputs[1].type;
  return (
    groups === 1 && sizeOf(shape.slice(2)) * sizeOf(stride) === 1 && padding.every((n) => n === 0)
  );
}

function isDepthwise(node: Node): boolean {
  const [out, perGroup] = node.inputs[1].type.shape;
  return (
    perGroup === 1 && out === attrsOf(node).groups && sizeOf(node.inputs[1].type.shape.slice(2)) > 1
  );
}

export const joinDepthwise = {
  name: "joinDepthwise",
  apply(graph: Graph): number {
    let changes = 0;
    for (const node of [...graph.nodes]) {
      if (!isPlainConv(node) || !isDepthwise(node)) continue;
      const [middle] = node.inputs;
      const first = middle.producer;
      if (!graph.isReadOnce(middle) || !first || !isPlainConv(first) || !isPointwise(first))
        continue;
      const biasOf = ({ inputs, attrs }: Node): Value =>
        convInputs(inputs, attrs as Conv2dAttrs).bias ??
        graph.constant(Tensor.zeros([inputs[1].type.shape[0]]), `${inputs[1].name} (no bias)`);
      const weights = [first, node].flatMap((conv) => [conv.inputs[1], biasOf(conv)]);
      graph.replace(node, pointwiseDepthwiseOp, [first.inputs[0], ...weights], {
        pointwise: attrsOf(first),
        depthwise: attrsOf(node),
      });
      graph.remove(first);
      changes++;
    }
    return changes;
  },
};
