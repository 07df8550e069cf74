/**
 * Folds what scales and shifts each channel into the weights before it.
 *
 *   x -> conv2d(w, b) -> batchNorm(g, beta, mean, var)      becomes      x -> conv2d(w * s, (b - mean) * s + beta)
 *   with s = g / sqrt(var + eps), one scale per output channel; and the same for mul, add, sub and div by a constant per channel.
 *
 * Only when the weights and the numbers are constants, and nothing else reads the result in between.
 */
import { sameShape } from "../../core/shape.js";
import { scaledTensor } from "../../core/stored.js";
import { Tensor } from "../../core/tensor.js";
import type { Graph, Node } from "../graph.js";
import { type Affine, affineOf } from "./affine.js";

/** A product's weights, scaled, and its bias, scaled and shifted. `channels` has the output channel of each run of neighbouring weights. */
export function foldAffine(
  weight: Tensor,
  bias: Tensor | undefined,
  { scale, shift }: Affine,
  channels: readonly number[],
): { weight: Tensor; bias: Tensor } {
  const newBias = Tensor.zeros([scale.length]);
  for (let c = 0; c < scale.length; c++)
    newBias.data[c] = (bias ? (bias.data[c] as number) : 0) * scale[c] + shift[c];
  const factors = Float64Array.from(channels, (c) => scale[c]);
  return { weight: scaledTensor(weight, factors), bias: newBias };
}

/** Of conv2d and linear the first axis is the output channel, of convTranspose2d group and second axis. */
function channelsOf(node: Node, { shape }: Tensor): number[] {
  if (node.op.name !== "convTranspose2d") return Array.from({ length: shape[0] }, (_, o) => o);
  const [cin, perGroup] = shape;
  const inPerGroup = cin / (node.attrs as { groups: number }).groups;
  return Array.from(
    { length: cin * perGroup },
    (_, run) => Math.floor(run / perGroup / inPerGroup) * perGroup + (run % perGroup),
  );
}

function canTake(node: Node | undefined): node is Node {
  if (!node || !["conv2d", "convTranspose2d", "linear"].includes(node.op.name)) return false;
  const plain = !("activation" in node.attrs) && !("residual" in node.attrs);
  return plain && node.inputs.slice(1).every((v) => v.constant?.dtype === "float32");
}

export const foldBatchNorm = {
  name: "foldBatchNorm",
  apply(graph: Graph): number {
    let changes = 0;
    for (const node of [...graph.nodes]) {
      const from = node.inputs.find((v) => canTake(v.producer));
      const product = from?.producer;
      if (!from || !product || !graph.isReadOnce(from)) continue;
      // A linear's channels are its last axis, which is axis 1 of a matrix only.
      if (product.op.name === "linear" && from.type.shape.length !== 2) continue;
      if (!sameShape(node.outputs[0].type.shape, from.type.shape)) continue;
      const affine =
        "activation" in node.attrs ? undefined : affineOf(node, from, from.type.shape[1]);
      if (!affine) continue;
      const [x, weight, bias] = product.inputs;
      const folded = foldAffine(
        weight.constant as Tensor,
        bias?.constant,
        affine,
        channelsOf(product, weight.constant as Tensor),
      );
      const inputs = [
        x,
        graph.constant(folded.weight, weight.name),
        graph.constant(folded.bias, bias?.name ?? `${product.name}.bias`),
      ];
      graph.replace(node, product.op, inputs, product.attrs);
      graph.remove(product);
      changes++;
    }
    return changes;
  },
};
