/** softmax, logSoftmax, hardmax along one axis. The largest number is taken off first, so that exp never overflows. */
import { dispatch } from "../core/dispatch.js";
import type { OpDef } from "../core/op.js";
import { normalizeAxis, sizeOf } from "../core/shape.js";
import { numbersOf, Tensor, writeNumber } from "../core/tensor.js";
import { byImageUnlessAlong, checkCount, checkFloat, samePlace } from "./shared.js";

export interface AxisAttrs {
  readonly axis: number;
}

type RowMap = (row: readonly number[]) => readonly number[];
/** Gradient of a row from its result y and the result's gradient dy. */
type RowGradient = (y: readonly number[], dy: readonly number[]) => readonly number[];

/** Calls visit for each row along an axis, with the place of its k-th number. */
function forEachRow(
  shape: readonly number[],
  axis: number,
  visit: (at: (k: number) => number) => void,
): void {
  const [length, inner] = [shape[axis], sizeOf(shape.slice(axis + 1))];
  for (let outer = 0; outer < sizeOf(shape.slice(0, axis)); outer++)
    for (let i = 0; i < inner; i++) visit((k) => (outer * length + k) * inner + i);
}

/** Defines an op that maps the numbers along an axis to as many numbers. */
function defineAlongAxis(name: string, map: RowMap, rowGradient?: RowGradient): OpDef<AxisAttrs> {
  return {
    name,
    byImage: byImageUnlessAlong(({ axis }) => [axis]),
    sight: (_inputs, { axis: along }, axis) => (along === 2 + axis ? "whole" : samePlace),
    gradient:
      rowGradient &&
      (({ inputs: [x], attrs: { axis }, outputs: [y], outputGradients: [dy] }) => {
        const dx = Tensor.zeros(x.shape, x.dtype);
        const [out, change] = [numbersOf(y), numbersOf(dy)];
        forEachRow(x.shape, axis, (at) => {
          const row = (from: ArrayLike<number>) =>
            Array.from({ length: x.shape[axis] }, (_, k) => from[at(k)]);
          rowGradient(row(out), row(change)).forEach((value, k) => {
            dx.data[at(k)] = value;
          });
        });
        return [dx];
      }),
    infer(inputs, { axis }) {
      checkCount(name, inputs, 1);
      checkFloat(name, inputs);
      normalizeAxis(name, axis, inputs[0].shape.length);
      return [{ dtype: inputs[0].dtype, shape: inputs[0].shape }];
    },
    reference([x], { axis }, [y]) {
      const from = numbersOf(x);
      forEachRow(x.shape, axis, (at) => {
        const row = Array.from({ length: x.shape[axis] }, (_, k) => from[at(k)]);
        map(row).forEach((value, k) => {
          writeNumber(y, at(k), value);
        });
      });
    },
  };
}

const top = (row: readonly number[]): number =>
  row.reduce((a, b) => (a > b || Number.isNaN(a) ? a : b));

export const softmaxOp = defineAlongAxis(
  "softmax",
  (row) => {
    const max = top(row);
    const powers = row.map((x) => Math.exp(x - max));
    const sum = powers.reduce((a, b) => a + b, 0);
    return powers.map((p) => p / sum);
  },
  (y, dy) => {
    const mean = y.reduce((sum, p, k) => sum + p * dy[k], 0);
    return y.map((p, k) => p * (dy[k] - mean));
  },
);

export const logSoftmaxOp = defineAlongAxis(
  "logSoftmax",
  (row) => {
    const max = top(row);
    const logSum = Math.log(row.reduce((sum, x) => sum + Math.exp(x - max), 0));
    return row.map((x) => x - max - logSum);
  },
  (y, dy) => {
    const total = dy.reduce((a, b) => a + b, 0);
    return y.map((logP, k) => dy[k] - Math.exp(logP) * total);
  },
);

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
