/** Fills tensors in place, seeded: the same seed gives the same numbers everywhere. */
import { type RandomOptions, randomSource, Tensor } from "../core/tensor.js";

/** Uniform in [low, high); default [0, 1). */
export function uniform(
  tensor: Tensor,
  options: RandomOptions & { low?: number; high?: number } = {},
): Tensor {
  const { low = 0, high = 1 } = options;
  const next = randomSource(options.seed);
  for (let i = 0; i < tensor.size; i++) tensor.data[i] = low + next() * (high - low);
  return tensor;
}

/** Normal with a mean and a standard deviation; default 0 and 1. */
export function normal(
  tensor: Tensor,
  options: RandomOptions & { mean?: number; std?: number } = {},
): Tensor {
  const { mean = 0, std = 1 } = options;
  const values = Tensor.randn(tensor.shape, options);
  for (let i = 0; i < tensor.size; i++) tensor.data[i] = mean + std * (values.data[i] as number);
  return tensor;
}

/** One value everywhere. */
export function constant(tensor: Tensor, value: number): Tensor {
  (tensor.data as Float32Array).fill(value);
  return tensor;
}

export const zeros = (tensor: Tensor): Tensor => constant(tensor, 0);
export const ones = (tensor: Tensor): Tensor => constant(tensor, 1);

/** Inputs that one output sums over: all axes of a weight but the first. */
export const fanIn = (shape: readonly number[]): number =>
  shape.slice(1).reduce((product, n) => product * n, 1);

/** PyTorch's default for layers: uniform in +-1 / sqrt(fanIn), which is Kaiming's with a = sqrt(5). */
export function kaimingUniform(
  tensor: Tensor,
  options: RandomOptions & { fan?: number } = {},
): Tensor {
  const bound = 1 / Math.sqrt(options.fan ?? fanIn(tensor.shape));
  return uniform(tensor, { low: -bound, high: bound, seed: options.seed });
}
