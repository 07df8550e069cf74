/** Parity cases of single ops: by name, on random numbers and on some that are not finite. */
import { dispatch } from "../../src/core/dispatch.js";
import type { DType } from "../../src/core/dtype.js";
import type { OpDef } from "../../src/core/op.js";
import { randomSource, Tensor, writeNumber } from "../../src/core/tensor.js";
import { ops } from "../../src/ops/index.js";
import type { Case } from "./parity.js";

/** An op of that name, with attributes. */
export const op =
  (name: string, attrs: object = {}) =>
  (...t: Tensor[]): Tensor =>
    dispatch(ops.get(name) as OpDef, t, attrs)[0];

const { POSITIVE_INFINITY: infinity, NaN: nan } = Number;
export const extremes = [nan, infinity, -infinity, 0, -0, 1, -1];
export const usual = [0.5, -0.5, 1.5, 2.5, -2.5, 2, -2, 3, 0.25, 7, -7, 0.99, 20, -30, 1e10, -3e-5];

/** Numbers of a list at random. */
export const picksOf =
  (list: readonly number[], dtype: DType = "float32") =>
  (shape: readonly number[], seed: number): Tensor => {
    const next = randomSource(seed + 7);
    const t = Tensor.zeros(shape, dtype);
    for (let i = 0; i < t.size; i++) writeNumber(t, i, list[Math.floor(next() * list.length)]);
    return t;
  };
/** One in a hundred is none of the usual numbers, so that some results are finite. */
export const rarely = picksOf([...new Array(40).fill(usual).flat(), ...extremes]);
/** A third are none. */
export const often = picksOf([...usual, ...extremes]);

/** Attributes of a resize to twice the size, but for `sizes`. */
export const twice = {
  scales: [1, 1, 2, 2],
  mode: "linear",
  coordinates: "half_pixel",
  nearest: "floor",
  cubicA: -0.75,
  excludeOutside: false,
  antialias: false,
  roi: [],
  extrapolationValue: 0,
};

interface Shapes {
  readonly inputs: readonly (readonly number[])[];
  readonly attrs?: object;
}
/** An op on random numbers, and on those that a fill gives. */
export const both = (
  name: string,
  { inputs, attrs = {} }: Shapes,
  fill: Case["fill"],
  exact = false,
): Case[] =>
  [undefined, fill].map((own) => ({
    name: `${name} (${inputs.join(") (")}) ${JSON.stringify(attrs)}${own ? ", not all finite" : ""}`,
    inputs,
    run: op(name, attrs),
    exact,
    allNative: true,
    fill: own,
  }));
