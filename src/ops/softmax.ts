/** softmax, logSoftmax, hardmax along one axis. The largest number is taken off first, so that exp never overflows. */
import { dispatch } from "../core/dispatch.js";
import type { OpDef } from "../core/op.js";
import { normalizeAxis, sizeOf } from "../core/shape.js";
import { numbersOf, type Tensor, writeNumber } from "../core/tensor.js";
import { checkCount, checkFloat } from "./shared.js";

export interface AxisAttrs {
  readonly axis: number;
}

/** Defines an op that maps the numbers along an axis to as many numbers. */
function defineAlongAxis(
  name: string,
  map: (row: readonly number[]) => readonly number[],
): OpDef<AxisAttrs> {
  return {
    name,
    infer(inputs, { axis }) {
      checkCount(name, inputs, 1);
      checkFloat(name, inputs);
      normalizeAxis(name, axis, inputs[0].shape.length);
      return [{ dtype: inputs[0].dtype, shape: inputs[0].shape }];
    },
    reference([x], { axis }, [y]) {
      const length = x.shape[axis];
      const inner = sizeOf(x.shape.slice(axis + 1));
      const from = numbersOf(x);
      for (let outer = 0; outer < sizeOf(x.shape.slice(0, axis)); outer++) {
        for (let i = 0; i < inner; i++) {
          const at = (k: number) => (outer * length + k) * inner + i;
          const row = Array.from({ length }, (_, k) => from[at(k)]);
          map(row).forEach((value, k) => {
            writeNumber(y, at(k), value);
          });
        }
      }
    },
  };
}

const top = (row: readonly number[]): number =>
  row.reduce((a, b) => (a > b || Number.isNaN(a) ? a : b));

export const softmaxOp = defineAlongAxis("softmax", (row) => {
  const max = top(row);
  const powers = row.map((x) => Math.exp(x - max));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((p) => p / sum);
});

export const logSoftmaxOp = defineAlongAxis("logSoftmax", (row) => {
  const max = top(row);
  const logSum = Math.log(row.reduce((sum, x) => sum + Math.exp(x - max), 0));
  return row.map((x) => x - max - logSum);
});

export const hardmaxOp = defineAlongAxis("hardmax", (row) => {
  const first = row.indexOf(top(row));
  return row.map((_, i) => (i === first ? 1 : 0));
});

/**
 * exp(x) divided by its sum along an axis: probabilities.
 *
 * @param dim  the axis, negative from the end; default the last
 * @see torch.nn.functional.softmax
 */
export const softmax = (x: Tensor, dim = -1): Tensor =>
  dispatch(softmaxOp, [x], { axis: normalizeAxis("softmax", dim, x.rank) })[0];

/** The logarithm of softmax, accurate where softmax is near 0. */
export const logSoftmax = (x: Tensor, dim = -1): Tensor =>
  dispatch(logSoftmaxOp, [x], { axis: normalizeAxis("logSoftmax", dim, x.rank) })[0];
