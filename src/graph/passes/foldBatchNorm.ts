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

/** A product's bias, scaled and shifted. */
function foldedBias(bias: Tensor | undefined, { scale, shift }: Affine): Tensor {
  const folded = Float32Array.from(shift);
  for (let c = 0; c < scale.length && bias; c++)
    folded[c] = (bias.data[c] as number) * scale[c] + shift[c];
  return new Tensor(folded, [scale.length]);
}

/**
 * What each run of neighbouring weights is multiplied by. Of conv2d and linear the first axis is the output channel, of convTranspose2d group and
 * second axis.
 */
function factorsOf(node: Node, { shape }: Tensor, { scale }: Affine): Float64Array {
  if (node.op.name !== "convTranspose2d") return scale;
  const [cin, perGroup] = shape;
  const inPerGroup = cin / (node.attrs as { groups: number }).groups;
  const factors = new Float64Array(cin * perGroup);
  for (let c = 0; c < cin; c++) {
    const first = Math.floor(c / inPerGroup) * perGroup;
    factors.set(scale.subarray(first, first + perGroup), c * perGroup);
  }
  return factors;
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
      if (!sameShape(node.outputs[0].type.shape, from.type.shape)) continue;
      // A linear's channels are its last axis.
      const axis = product.op.name === "linear" ? from.type.shape.length - 1 : 1;
      const affine = "activation" in node.attrs ? undefined : affineOf(node, from, axis);
      if (!affine) continue;
      const [x, weight, bias] = product.inputs;
      const taps = weight.constant as Tensor;
      const inputs = [
        x,
        graph.constant(scaledTensor(taps, factorsOf(product, taps, affine)), weight.name),
        graph.constant(foldedBias(bias?.constant, affine), bias?.name ?? `${product.name}.bias`),
      ];
      graph.replace(node, product.op, inputs, product.attrs);
      graph.remove(product);
      changes++;
    }
    return changes;
  },
};
