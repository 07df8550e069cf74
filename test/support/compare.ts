/** Comparisons of tensors, with what differs most in the message. */
import { expect } from "vitest";
import { readNumber, type Tensor } from "../../src/core/tensor.js";

export interface Tolerance {
  readonly rtol: number;
  readonly atol: number;
}

/**
 * |got - expected| <= rtol * |expected| + atol * scale, element by element; NaN equals NaN, infinities equal themselves. Types must be the same.
 *
 * @param scale  what atol is relative to; default 1
 */
export function expectClose(
  got: Tensor,
  expected: Tensor,
  { rtol, atol }: Tolerance,
  scale = 1,
): void {
  expect({ dtype: got.dtype, shape: got.shape }).toEqual({
    dtype: expected.dtype,
    shape: expected.shape,
  });
  let worst = 0;
  let where = -1;
  for (let i = 0; i < expected.size; i++) {
    const [a, b] = [readNumber(got, i), readNumber(expected, i)];
    if (Object.is(a, b) || a === b) continue;
    const excess = Math.abs(a - b) / (rtol * Math.abs(b) + atol * scale);
    if (!(excess <= worst)) {
      worst = Number.isNaN(excess) ? Number.POSITIVE_INFINITY : excess;
      where = i;
      if (worst === Number.POSITIVE_INFINITY) break;
    }
  }
  if (worst > 1) {
    expect.fail(
      `element ${where}: got ${readNumber(got, where)}, expected ${readNumber(expected, where)} (${worst.toFixed(1)} times the tolerance)`,
    );
  }
}

/** The largest finite absolute value, at least 1: what an absolute tolerance is relative to. */
export function magnitude(t: Tensor): number {
  let largest = 1;
  for (let i = 0; i < t.size; i++) {
    const size = Math.abs(readNumber(t, i));
    if (size > largest && Number.isFinite(size)) largest = size;
  }
  return largest;
}
