/** What the definitions of ops have in common: checks of inputs, infer rules that many ops share, and how elements are moved. */
import { type DType, isFloat } from "../core/dtype.js";
import { expected, ShapeError, showShape, TensorError } from "../core/errors.js";
import type { LayoutRule, TensorType } from "../core/op.js";
import { broadcastStrides, forEachIndex, sameShape } from "../core/shape.js";
import { Tensor } from "../core/tensor.js";

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

/** Sight of ops that leave every place where it is. */
export const samePlace = (at: number): readonly [number, number] => [at, at];

/** A float32 image batch (N, C, H, W): what the blocked layout is for. */
export const isImage = (type: TensorType): boolean =>
  type.dtype === "float32" && type.shape.length === 4;

/** OpDef.byImage of ops whose first input is the batch, beside weights. */
export const firstByImage = <Attrs>(
  _inputs: readonly TensorType[],
  attrs: Attrs,
  ofBatch: readonly boolean[],
): Attrs | undefined => (ofBatch.every((of, i) => of === (i === 0)) ? attrs : undefined);

/** The same of ops that work along some axes, and leave every other as it is. */
export const byImageUnlessAlong =
  <Attrs>(axesOf: (attrs: Attrs) => readonly number[]) =>
  (inputs: readonly TensorType[], attrs: Attrs, ofBatch: readonly boolean[]): Attrs | undefined =>
    axesOf(attrs).includes(0) ? undefined : firstByImage(inputs, attrs, ofBatch);

/** Layout rule of ops that run as well blocked as plain, on images only. */
export const followsOnImages = (inputs: readonly TensorType[]): LayoutRule =>
  isImage(inputs[0]) ? "follows" : "plain";

/** Calls visit(place in the large shape, place in the one that broadcasts to it). */
function forEachBroadcast(
  large: readonly number[],
  small: readonly number[],
  visit: (i: number, from: number) => void,
): void {
  const strides = broadcastStrides(small, large);
  forEachIndex(large, (index, i) => {
    let from = 0;
    for (let axis = 0; axis < index.length; axis++) from += index[axis] * strides[axis];
    visit(i, from);
  });
}

/** A copy of a tensor, repeated to a shape that it broadcasts to. */
export function broadcastTo(t: Tensor, shape: readonly number[]): Tensor {
  const result = Tensor.zeros(shape, t.dtype);
  if (t.size === 1) result.data.fill(t.data[0] as never);
  else
    forEachBroadcast(shape, t.shape, (i, from) => {
      result.data[i] = t.data[from];
    });
  return result;
}

/** What broadcasting means for gradients: a tensor summed over the axes along which one of this shape was repeated. */
export function sumTo(t: Tensor, shape: readonly number[]): Tensor {
  if (sameShape(t.shape, shape)) return t;
  const result = Tensor.zeros(shape, t.dtype);
  const [from, to] = [t.data as Float32Array, result.data as Float32Array];
  forEachBroadcast(t.shape, shape, (i, into) => {
    to[into] += from[i];
  });
  return result;
}

/** Runs `body` on a batch; an input without the batch axis gets one for the while. */
export function batched(
  op: string,
  input: Tensor,
  rank: number,
  body: (batch: Tensor) => Tensor,
): Tensor {
  if (input.rank === rank) return body(input);
  if (input.rank !== rank - 1) {
    const names = rank === 3 ? "L" : rank === 4 ? "H, W" : "D, H, W";
    throw new ShapeError(
      expected(
        op,
        `input (N, C, ${names}) or (C, ${names})`,
        `${input.rank} axes: ${showShape(input.shape)}`,
      ),
    );
  }
  const y = body(input.reshape([1, ...input.shape]));
  return y.reshape(y.shape.slice(1));
}

/** y[i] = x[source(index of i)] for every element of y. */
export function copyFrom(x: Tensor, y: Tensor, source: (index: readonly number[]) => number): void {
  forEachIndex(y.shape, (index, i) => {
    y.data[i] = x.data[source(index)];
  });
}

export const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, n, i) => sum + n * b[i], 0);
