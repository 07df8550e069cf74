/** What the definitions of ops have in common: checks of inputs, and infer rules that many ops share. */
import { type DType, isFloat } from "../core/dtype.js";
import { expected, ShapeError, showShape, TensorError } from "../core/errors.js";
import type { LayoutRule, TensorType } from "../core/op.js";

/** Throws unless an op got between `min` and `max` inputs. */
export function checkCount(
  op: string,
  inputs: readonly TensorType[],
  min: number,
  max = min,
): void {
  if (inputs.length >= min && inputs.length <= max) return;
  const range =
    min === max
      ? `${min}`
      : max === Number.POSITIVE_INFINITY
        ? `at least ${min}`
        : `${min} to ${max}`;
  throw new ShapeError(expected(op, `${range} input${max === 1 ? "" : "s"}`, `${inputs.length}`));
}

/** Throws unless the tensor has this many axes; `form` says which, as "(N, C, H, W)". */
export function checkRank(
  op: string,
  what: string,
  type: TensorType,
  rank: number,
  form: string,
): void {
  if (type.shape.length === rank) return;
  throw new ShapeError(
    expected(
      op,
      `${what} ${form}, ${rank} axes`,
      `${type.shape.length} axes: ${showShape(type.shape)}`,
    ),
  );
}

/** Throws unless the tensor has exactly this shape. */
export function checkShapeIs(
  op: string,
  what: string,
  type: TensorType,
  shape: readonly number[],
): void {
  if (type.shape.length === shape.length && type.shape.every((n, i) => n === shape[i])) return;
  throw new ShapeError(expected(op, `${what} of shape ${showShape(shape)}`, showShape(type.shape)));
}

/** Throws unless all tensors are of one floating-point dtype. */
export function checkFloat(op: string, inputs: readonly TensorType[]): void {
  for (const { dtype } of inputs) {
    if (!isFloat(dtype))
      throw new TensorError(
        expected(op, "float tensors", dtype, 'cast it first: cast(x, "float32")'),
      );
  }
  checkSameDtype(op, inputs);
}

/** Throws unless all tensors are of one dtype. */
export function checkSameDtype(op: string, inputs: readonly TensorType[]): void {
  const first = inputs[0];
  for (const { dtype } of inputs) {
    if (dtype !== first.dtype)
      throw new TensorError(expected(op, `all inputs of dtype ${first.dtype}`, dtype));
  }
}

/** Throws unless the tensor is of one of these dtypes. */
export function checkDtype(
  op: string,
  what: string,
  type: TensorType,
  allowed: readonly DType[],
): void {
  if (allowed.includes(type.dtype)) return;
  throw new TensorError(expected(op, `${what} of dtype ${allowed.join(" or ")}`, type.dtype));
}

/** A float32 image batch (N, C, H, W): what the blocked layout is for. */
export const isImage = (type: TensorType): boolean =>
  type.dtype === "float32" && type.shape.length === 4;

/** Layout rule of ops that run as well blocked as plain, on images only. */
export const followsOnImages = (inputs: readonly TensorType[]): LayoutRule =>
  isImage(inputs[0]) ? "follows" : "plain";
