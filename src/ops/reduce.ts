/** Reductions over axes, argMax, argMin, topK, cumSum. An empty set has the neutral element (sum 0, product 1, max -inf, min +inf). */
import { dispatch } from "../core/dispatch.js";
import { isFloat } from "../core/dtype.js";
import { expected, ShapeError, TensorError } from "../core/errors.js";
import type { GradientRequest, OpDef } from "../core/op.js";
import { forEachIndex, normalizeAxes, normalizeAxis, sizeOf, stridesOf } from "../core/shape.js";
import { numbersOf, Tensor, writeNumber } from "../core/tensor.js";
import { byImageUnlessAlong, checkCount, samePlace } from "./shared.js";

export interface ReduceAttrs {
  readonly axes: readonly number[];
  readonly keepDims: boolean;
}

const sum = (v: readonly number[]): number => v.reduce((a, b) => a + b, 0);
const max = (v: readonly number[]): number =>
  v.reduce((a, b) => (a > b || Number.isNaN(a) ? a : b), Number.NEGATIVE_INFINITY);
const min = (v: readonly number[]): number =>
  v.reduce((a, b) => (a < b || Number.isNaN(a) ? a : b), Number.POSITIVE_INFINITY);

const reductions: Readonly<Record<string, (values: readonly number[]) => number>> = {
  reduceSum: sum,
  reduceMean: (v) => sum(v) / v.length,
  reduceMax: max,
  reduceMin: min,
  reduceProd: (v) => v.reduce((a, b) => a * b, 1),
  reduceL1: (v) => sum(v.map(Math.abs)),
  reduceL2: (v) => Math.sqrt(sum(v.map((x) => x * x))),
  reduceSumSquare: (v) => sum(v.map((x) => x * x)),
  reduceLogSum: (v) => Math.log(sum(v)),
  reduceLogSumExp: (v) => {
    const top = max(v);
    if (!Number.isFinite(top)) return top;
    return top + Math.log(sum(v.map((x) => Math.exp(x - top))));
  },
};

/** int64 reductions that must stay exact beyond 2^53. */
const reductions64: Readonly<Record<string, (values: readonly bigint[]) => bigint>> = {
  reduceSum: (v) => v.reduce((a, b) => a + b, 0n),
  reduceProd: (v) => v.reduce((a, b) => a * b, 1n),
  reduceMax: (v) => v.reduce((a, b) => (a > b ? a : b), -(2n ** 63n)),
  reduceMin: (v) => v.reduce((a, b) => (a < b ? a : b), 2n ** 63n - 1n),
};

function reducedShape(shape: readonly number[], { axes, keepDims }: ReduceAttrs): number[] {
  return keepDims
    ? shape.map((n, a) => (axes.includes(a) ? 1 : n))
    : shape.filter((_, a) => !axes.includes(a));
}

/** Calls `visit` for each output element with the flat places of the inputs that make it. */
function forEachGroup(
  shape: readonly number[],
  axes: readonly number[],
  visit: (o: number, places: readonly number[]) => void,
): void {
  const strides = stridesOf(shape);
  const kept = shape.map((_, a) => a).filter((a) => !axes.includes(a));
  const offsets: number[] = [];
  forEachIndex(
    axes.map((a) => shape[a]),
    (index) => {
      offsets.push(index.reduce((s, i, k) => s + i * strides[axes[k]], 0));
    },
  );
  forEachIndex(
    kept.map((a) => shape[a]),
    (index, o) => {
      const base = index.reduce((s, i, k) => s + i * strides[kept[k]], 0);
      visit(
        o,
        offsets.map((offset) => base + offset),
      );
    },
  );
}

function defineReduction(name: string): OpDef<ReduceAttrs> {
  return {
    name,
    byImage: byImageUnlessAlong(({ axes }) => axes),
    infer(inputs, attrs) {
      checkCount(name, inputs, 1);
      const [{ dtype, shape }] = inputs;
      normalizeAxes(name, attrs.axes, shape.length);
      if (dtype === "bool" && name !== "reduceMax" && name !== "reduceMin") {
        throw new TensorError(expected(name, "numbers", "bool"));
      }
      return [{ dtype, shape: reducedShape(shape, attrs) }];
    },
    sight: (_inputs, { axes, keepDims }, axis) =>
      keepDims && !axes.includes(2 + axis) ? samePlace : "whole",
    gradient: name === "reduceProd" ? undefined : (step) => reductionGradient(name, step),
    reference([x], { axes }, [y]) {
      const exact = x.dtype === "int64" ? reductions64[name] : undefined;
      if (exact) {
        const from = x.data as BigInt64Array;
        forEachGroup(x.shape, axes, (o, places) => {
          y.data[o] = exact(places.map((p) => from[p]));
        });
        return;
      }
      const from = numbersOf(x);
      const whole = !isFloat(y.dtype);
      forEachGroup(x.shape, axes, (o, places) => {
        const value = reductions[name](places.map((p) => from[p]));
        // The neutral element of an integer maximum or minimum is the type's own end.
        writeNumber(
          y,
          o,
          y.dtype === "bool"
            ? value > 0 && (value !== Number.POSITIVE_INFINITY || name === "reduceMin")
            : whole
              ? integerEnd(value, y)
              : value,
        );
      });
    },
  };
}

/** An infinite value as the nearest that the integer type holds; others truncated. */
function integerEnd(value: number, y: Tensor): number {
  if (Number.isFinite(value)) return Math.trunc(value);
  const ends: Record<string, readonly [number, number]> = {
    int8: [-128, 127],
    uint8: [0, 255],
    int32: [-(2 ** 31), 2 ** 31 - 1],
  };
  return ends[y.dtype][value < 0 ? 0 : 1];
}

/** How a reduction changes with one of its numbers x, y being the result over n of them. */
const reductionSlopes: Readonly<Record<string, (x: number, y: number, n: number) => number>> = {
  reduceSum: () => 1,
  reduceMean: (_x, _y, n) => 1 / n,
  reduceL1: (x) => Math.sign(x),
  reduceL2: (x, y) => (y === 0 ? 0 : x / y),
  reduceSumSquare: (x) => 2 * x,
  reduceLogSum: (_x, y) => 1 / Math.exp(y),
  reduceLogSumExp: (x, y) => Math.exp(x - y),
};

/** The gradient of a reduction: that of the result, at each number, times the slope there. Extremes give all to those that reach them, in equal shares. */
function reductionGradient(
  name: string,
  { inputs: [x], attrs, outputs: [y], outputGradients: [dy] }: GradientRequest<ReduceAttrs>,
): Tensor[] {
  const dx = Tensor.zeros(x.shape, x.dtype);
  const [to, from, out, change] = [dx, x, y, dy].map((t) => t.data as Float32Array);
  const extreme = name === "reduceMax" || name === "reduceMin";
  forEachGroup(x.shape, attrs.axes, (o, places) => {
    if (extreme) {
      const reach = places.filter((p) => from[p] === out[o]);
      for (const p of reach) to[p] = change[o] / reach.length;
    } else
      for (const p of places)
        to[p] = change[o] * reductionSlopes[name](from[p], out[o], places.length);
  });
  return [dx];
}

export const reduceOps: Readonly<Record<string, OpDef<ReduceAttrs>>> = Object.fromEntries(
  Object.keys(reductions).map((name) => [name, defineReduction(name)]),
);

export interface ArgAttrs {
  readonly axis: number;
  readonly keepDims: boolean;
  /** Of equal numbers take the last instead of the first. */
  readonly selectLast: boolean;
}

function defineArg(name: string, better: (a: number, b: number) => boolean): OpDef<ArgAttrs> {
  return {
    name,
    byImage: byImageUnlessAlong(({ axis }) => [axis]),
    infer(inputs, { axis, keepDims }) {
      checkCount(name, inputs, 1);
      const [{ shape }] = inputs;
      normalizeAxis(name, axis, shape.length);
      if (shape[axis] === 0) throw new ShapeError(expected(name, `a non-empty axis ${axis}`, "0"));
      return [{ dtype: "int64", shape: reducedShape(shape, { axes: [axis], keepDims }) }];
    },
    reference([x], { axis, selectLast }, [y]) {
      const from = numbersOf(x);
      forEachGroup(x.shape, [axis], (o, places) => {
        let best = 0;
        places.forEach((p, k) => {
          const [value, record] = [from[p], from[places[best]]];
          if (
            better(value, record) ||
            (selectLast && value === record) ||
            (Number.isNaN(value) && !Number.isNaN(record))
          )
            best = k;
        });
        y.data[o] = BigInt(best);
      });
    },
  };
}

export const argMaxOp = defineArg("argMax", (a, b) => a > b);
export const argMinOp = defineArg("argMin", (a, b) => a < b);

export interface TopKAttrs {
  readonly axis: number;
  readonly k: number;
  readonly largest: boolean;
  readonly sorted: boolean;
}

/** The k largest (or smallest) numbers along an axis, best first, and their places; of equal ones the first. */
export const topKOp: OpDef<TopKAttrs> = {
  name: "topK",
  byImage: byImageUnlessAlong(({ axis }) => [axis]),
  infer(inputs, { axis, k }) {
    checkCount("topK", inputs, 1);
    const [{ dtype, shape }] = inputs;
    normalizeAxis("topK", axis, shape.length);
    if (k < 0 || k > shape[axis])
      throw new ShapeError(expected("topK", `k from 0 to ${shape[axis]}`, `${k}`));
    const out = shape.map((n, a) => (a === axis ? k : n));
    return [
      { dtype, shape: out },
      { dtype: "int64", shape: out },
    ];
  },
  reference([x], { axis, k, largest }, [values, indices]) {
    const from = numbersOf(x);
    const step = sizeOf(values.shape.slice(axis + 1));
    forEachGroup(x.shape, [axis], (o, places) => {
      const order = places
        .map((_, i) => i)
        .sort((a, b) => {
          const difference = from[places[b]] - from[places[a]];
          return (largest ? difference : -difference) || a - b;
        });
      const base = Math.floor(o / step) * k * step + (o % step);
      for (let i = 0; i < k; i++) {
        values.data[base + i * step] = x.data[places[order[i]]];
        indices.data[base + i * step] = BigInt(order[i]);
      }
    });
  },
};

export interface CumSumAttrs {
  readonly axis: number;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

export const cumSumOp: OpDef<CumSumAttrs> = {
  name: "cumSum",
  infer(inputs, { axis }) {
    checkCount("cumSum", inputs, 1);
    normalizeAxis("cumSum", axis, inputs[0].shape.length);
    return [inputs[0]];
  },
  reference([x], { axis, exclusive, reverse }, [y]) {
    const from = numbersOf(x);
    forEachGroup(x.shape, [axis], (_o, places) => {
      let total = 0;
      for (const p of reverse ? [...places].reverse() : places) {
        if (exclusive) writeNumber(y, p, total);
        total += from[p];
        if (!exclusive) writeNumber(y, p, total);
      }
    });
  },
};

function reduceBy(
  op: string,
  x: Tensor,
  dim: number | readonly number[] | undefined,
  keepDim: boolean,
): Tensor {
  const axes = dim === undefined ? x.shape.map((_, a) => a) : typeof dim === "number" ? [dim] : dim;
  return dispatch(reduceOps[op], [x], {
    axes: normalizeAxes(op, axes, x.rank),
    keepDims: keepDim,
  })[0];
}

/** The sum over axes; default all. */
export const sumOf = (x: Tensor, dim?: number | readonly number[], keepDim = false): Tensor =>
  reduceBy("reduceSum", x, dim, keepDim);
/** The mean over axes; default all. */
export const mean = (x: Tensor, dim?: number | readonly number[], keepDim = false): Tensor =>
  reduceBy("reduceMean", x, dim, keepDim);
/** The place of the largest number along an axis (int64). */
export const argmax = (x: Tensor, dim = -1, keepDim = false): Tensor =>
  dispatch(argMaxOp, [x], {
    axis: normalizeAxis("argmax", dim, x.rank),
    keepDims: keepDim,
    selectLast: false,
  })[0];
/** The k largest numbers along an axis, best first, and their places (int64). */
export function topk(x: Tensor, k: number, dim = -1): [Tensor, Tensor] {
  const [values, indices] = dispatch(topKOp, [x], {
    axis: normalizeAxis("topk", dim, x.rank),
    k,
    largest: true,
    sorted: true,
  });
  return [values, indices];
}
