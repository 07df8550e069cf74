/** Nodes that scale and shift each channel, as two numbers per channel: batchNorm, and mul, add, sub and div by a constant. */
import { numbersOf, type Tensor } from "../../core/tensor.js";
import type { Node, Value } from "../graph.js";

/** y[c] = x[c] * scale[c] + shift[c] */
export interface Affine {
  readonly scale: Float64Array;
  readonly shift: Float64Array;
}

/** One number for all channels. */
export const isUniform = (numbers: Float64Array): boolean => numbers.every((n) => n === numbers[0]);

/** What a node does to each channel of `from`, which `axis` counts, its activation apart, if that is all it does. */
export function affineOf(node: Node, from: Value, axis = 1): Affine | undefined {
  const { shape } = from.type;
  const channels = shape[axis];
  if ("residual" in node.attrs) return undefined;
  if (node.op.name === "batchNorm") return axis === 1 ? batchNormAffine(node, channels) : undefined;
  if (!["add", "sub", "mul", "div"].includes(node.op.name)) return undefined;
  const [a, b] = node.inputs;
  const other = a === from ? b : a;
  const numbers = other.constant && perChannel(other.constant, shape, axis);
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
  const [scale, shift] = [new Float64Array(channels), new Float64Array(channels)];
  for (let c = 0; c < channels; c++) {
    scale[c] = g[c] / Math.sqrt(variance[c] + eps);
    shift[c] = beta[c] - mean[c] * scale[c];
  }
  return { scale, shift };
}

/** A constant as one number for each place along an axis of a tensor of this shape, if it broadcasts like that. */
function perChannel(t: Tensor, of: readonly number[], axis: number): Float64Array | undefined {
  if (t.dtype !== "float32") return undefined;
  if (t.size === 1 && t.rank <= of.length)
    return new Float64Array(of[axis]).fill(t.data[0] as number);
  const shape = [...new Array<number>(Math.max(0, of.length - t.rank)).fill(1), ...t.shape];
  const fits = shape.length === of.length && shape.every((n, i) => n === (i === axis ? of[i] : 1));
  return fits ? new Float64Array(t.data as Float32Array) : undefined;
}
