/** Shape arithmetic: sizes, strides, broadcasting, odometers. Shapes are row-major lists of non-negative integers. */
import { expected, ShapeError, show, showShape } from "./errors.js";

export type Shape = readonly number[];

/** Number of elements; 1 for a scalar shape. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (let axis = 0; axis < shape.length; axis++) size *= shape[axis];
  return size;
}

/** Row-major strides, in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= shape[axis];
  }
  return strides;
}

export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let axis = 0; axis < a.length; axis++) if (a[axis] !== b[axis]) return false;
  return true;
}

/** Non-negative integers, or a ShapeError. */
export function checkSizes(where: string, sizes: unknown): asserts sizes is readonly number[] {
  if (!Array.isArray(sizes)) {
    throw new ShapeError(expected(where, "an array of sizes", show(sizes)));
  }
  for (let i = 0; i < sizes.length; i++) {
    const n = sizes[i];
    if (typeof n !== "number" || !Number.isInteger(n) || n < 0) {
      throw new ShapeError(
        expected(where, "sizes that are integers >= 0", `${show(n)} in ${show(sizes)}`),
      );
    }
  }
}

/** A shape that a tensor can have, or a ShapeError: non-negative integers whose product is a safe size. */
export function checkShape(where: string, shape: unknown): asserts shape is Shape {
  checkSizes(where, shape);
  if (sizeOf(shape) > 2 ** 31) {
    throw new ShapeError(
      expected(where, "at most 2^31 elements", `${sizeOf(shape)} for shape ${showShape(shape)}`),
    );
  }
}

/** Shapes that tensors have, by size: most new tensors have the shape of an earlier one, and to freeze a copy of it takes 340 ns. */
const frozen = new Array<Shape | undefined>(251).fill(undefined);
/** All that were ever among them, and live. */
const everFrozen = new WeakSet<Shape>();

/** A shape that cannot change, equal to this one, which checkShape accepts. */
export function frozenShape(where: string, shape: Shape): Shape {
  if (everFrozen.has(shape)) return shape;
  checkShape(where, shape);
  const place = sizeOf(shape) % frozen.length;
  const known = frozen[place];
  if (known !== undefined && sameShape(known, shape)) return known;
  const copy = Object.freeze(Array.from(shape, (n) => n + 0)); // -0 is 0
  frozen[place] = copy;
  everFrozen.add(copy);
  return copy;
}

/** NumPy's broadcasting: sizes are equal or 1, aligned at the right. */
export function broadcastShapes(where: string, ...shapes: Shape[]): number[] {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  const result = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    const shift = rank - shape.length;
    shape.forEach((n, axis) => {
      const have = result[shift + axis];
      if (n === have || n === 1) return;
      if (have !== 1) {
        throw new ShapeError(
          expected(
            where,
            "shapes that broadcast (sizes equal or 1, from the right)",
            shapes.map(showShape).join(" and "),
          ),
        );
      }
      result[shift + axis] = n;
    });
  }
  return result;
}

/** Strides that read `shape` as if it had the shape `to`: 0 along axes that repeat. */
export function broadcastStrides(shape: Shape, to: Shape): number[] {
  const own = stridesOf(shape);
  const shift = to.length - shape.length;
  return to.map((_, axis) => (axis < shift || shape[axis - shift] === 1 ? 0 : own[axis - shift]));
}

/** Calls `visit` with every index of the shape, last axis fastest. The array is reused: copy it to keep it. */
export function forEachIndex(
  shape: Shape,
  visit: (index: readonly number[], flat: number) => void,
): void {
  const size = sizeOf(shape);
  const index = new Array<number>(shape.length).fill(0);
  for (let flat = 0; flat < size; flat++) {
    visit(index, flat);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
}

/** An axis of a tensor of this rank, counted from the front; negative counts from the end. */
export function normalizeAxis(where: string, axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new ShapeError(expected(where, `an axis from ${-rank} to ${rank - 1}`, show(axis)));
  }
  return axis < 0 ? axis + rank : axis;
}

/** Distinct axes, counted from the front, in ascending order. */
export function normalizeAxes(where: string, axes: readonly number[], rank: number): number[] {
  const result = axes.map((axis) => normalizeAxis(where, axis, rank)).sort((a, b) => a - b);
  if (new Set(result).size !== result.length) {
    throw new ShapeError(expected(where, "distinct axes", show(axes)));
  }
  return result;
}
