/**
 * Folds what scales and shifts each channel into the weights before it.
 *
 *   x -> conv2d(w, b) -> batchNorm(g, beta, mean, var)      becomes      x -> conv2d(w * s, (b - mean) * s + beta)
 *   with s = g / sqrt(var + eps), one scale per output channel; and the same for mul, add, sub and div by a constant per channel. A batchNorm with
 *   no product in front of it takes in what follows it in the same way.
 *
 * Only when the weights and the numbers are constants, and nothing else reads the result in between.
 */
import { numbersOf, Tensor } from "../../core/tensor.js";
import type { Graph, Node, Value } from "../graph.js";

/** y[c] = x[c] * scale[c] + shift[c] */
export interface Affine {
  readonly scale: Float64Array;
  readonly shift: Float64Array;
}

/** Weights and bias of a product whose results are scaled and shifted. `channelOf` says which output channel a weight belongs to. */
export function foldAffine(
  weight: Tensor,
  bias: Tensor | undefined,
  { scale, shift }: Affine,
  channelOf: (i: number) => number,
): { weight: Tensor; bias: Tensor } {
  const w = numbersOf(weight);
  const newWeight = Tensor.zeros(weight.shape);
  for (let i = 0; i < weight.size; i++) newWeight.data[i] = w[i] * scale[channelOf(i)];
  const newBias = Tensor.zeros([scale.length]);
  for (let c = 0; c < scale.length; c++)
    newBias.data[c] = (bias ? (bias.data[c] as number) : 0) * scale[c] + shift[c];
  return { weight: newWeight, bias: newBias };
}

/** What a node does to each of `channels` channels, if that is all it does. */
function affineOf(node: Node, from: Value, channels: number): Affine | undefined {
  if ("activation" in node.attrs || "residual" in node.attrs) return undefined;
  if (node.op.name === "batchNorm") return batchNormAffine(node, channels);
  if (!["add", "sub", "mul", "div"].includes(node.op.name)) return undefined;
  const [a, b] = node.inputs;
  const other = a === from ? b : a;
  const numbers = other.constant && perChannel(other.constant, from.type.shape.length, channels);
  if (!numbers || (other === a && (node.op.name === "sub" || node.op.name === "div")))
    return undefined;
  const ones = new Float64Array(channels).fill(1);
  const zeros = new Float64Array(channels);
  if (node.op.name === "mul") return { scale: numbers, shift: zeros };
  if (node.op.name === "div") return { scale: numbers.map((n) => 1 / n), shift: zeros };
  return { scale: ones, shift: node.op.name === "add" ? numbers : numbers.map((n) => -n) };
}

function batchNormAffine(node: Node, channels: number): Affine | undefined {
  const constants = node.inputs.slice(1).map((v) => v.constant);
  if (constants.some((t) => t === undefined)) return undefined;
  const [g, beta, mean, variance] = constants.map((t) => numbersOf(t as Tensor));
  const { eps } = node.attrs as { eps: number };
  const scale = Float64Array.from(
    { length: channels },
    (_, c) => g[c] / Math.sqrt(variance[c] + eps),
  );
  return { scale, shift: scale.map((s, c) => beta[c] - mean[c] * s) };
}

/** A constant as one number per channel (axis 1 of a tensor of this rank), if it broadcasts like that. */
function perChannel(t: Tensor, rank: number, channels: number): Float64Array | undefined {
  if (t.dtype !== "float32") return undefined;
  if (t.size === 1 && t.rank <= rank) return new Float64Array(channels).fill(t.data[0] as number);
  const shape = [...new Array<number>(Math.max(0, rank - t.rank)).fill(1), ...t.shape];
  const fits = shape.length === rank && shape.every((n, axis) => n === (axis === 1 ? channels : 1));
  return fits ? Float64Array.from(t.data as Float32Array) : undefined;
}

/** The output channel of weight i: of convTranspose2d group and second axis, of all others the first axis. */
function channelOf(node: Node, weight: Tensor): (i: number) => number {
  if (node.op.name !== "convTranspose2d") {
    const perOutput = weight.size / weight.shape[0];
    return (i) => Math.floor(i / perOutput);
  }
  const [cin, perGroup, kh, kw] = weight.shape;
  const inPerGroup = cin / (node.attrs as { groups: number }).groups;
  return (i) => {
    const c = Math.floor(i / (perGroup * kh * kw));
    return Math.floor(c / inPerGroup) * perGroup + (Math.floor(i / (kh * kw)) % perGroup);
  };
}

const foldable = ["conv2d", "convTranspose2d", "linear", "batchNorm"];

function canTake(node: Node | undefined): node is Node {
  if (!node || !foldable.includes(node.op.name)) return false;
  const plain = !("activation" in node.attrs) && !("residual" in node.attrs);
  return plain && node.inputs.slice(1).every((v) => v.constant?.dtype === "float32");
}

export const foldBatchNorm = {
  name: "foldBatchNorm",
  apply(graph: Graph): number {
    let changes = 0;
    const readers = graph.readers();
    for (const node of [...graph.nodes]) {
      const from = node.inputs.find((v) => canTake(v.producer));
      const product = from?.producer;
      if (!from || !product || readers.get(from)?.length !== 1 || graph.isOutput(from)) continue;
      // A linear's channels are its last axis, which is axis 1 of a matrix only.
      if (product.op.name === "linear" && from.type.shape.length !== 2) continue;
      if (node.outputs[0].type.shape.join() !== from.type.shape.join()) continue;
      const affine = affineOf(node, from, from.type.shape[1]);
      if (!affine) continue;
      const [x, weight, bias, ...statistics] = product.inputs;
      const folded = foldAffine(
        weight.constant as Tensor,
        bias?.constant,
        affine,
        channelOf(product, weight.constant as Tensor),
      );
      const inputs = [
        x,
        graph.constant(folded.weight, weight.name),
        graph.constant(folded.bias, bias?.name ?? `${product.name}.bias`),
        ...statistics,
      ];
      const replaced = graph.replace(node, product.op, inputs, product.attrs);
      graph.remove(new Set([product]));
      // The product's input may have other readers: those stay.
      const others = (readers.get(x) ?? []).filter((reader) => reader !== product);
      readers.set(x, [...others, replaced]);
      changes++;
    }
    return changes;
  },
};
