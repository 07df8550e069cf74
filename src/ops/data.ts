/**
 * Ops that move elements and compute nothing, for any dtype: reshape, transpose, concat, split, slice, expand, tile, reorder.
 */
import { dispatch } from "../core/dispatch.js";
import { expected, OptionError, ShapeError, show, showShape, TensorError } from "../core/errors.js";
import type { OpDef, Placement } from "../core/op.js";
import {
  broadcastShapes,
  broadcastStrides,
  checkShape,
  checkSizes,
  normalizeAxis,
  sameShape,
  sizeOf,
  stridesOf,
} from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";
import { moveGradient } from "./moveGradient.js";
import {
  byImageUnlessAlong,
  checkCount,
  checkRank,
  checkSameDtype,
  copyFrom,
  dot,
  isImage,
  samePlace,
} from "./shared.js";

/** Where parts of these sizes begin, one after the other. */
function startsOf(sizes: readonly number[]): number[] {
  let end = 0;
  return sizes.map((size) => {
    end += size;
    return end - size;
  });
}

/** The output is the input. */
const sameMemory: Placement = { whole: "input", axis: 0, starts: [0] };

export const reshapeOp: OpDef<{ readonly shape: readonly number[] }> = {
  name: "reshape",
  byImage: ([x], { shape }) =>
    shape[0] === x.shape[0] ? { shape: [1, ...shape.slice(1)] } : undefined,
  // Sizes of the image that stay as they are, stay in place.
  sight: ([x], { shape }) =>
    x.shape.length > 2 && sameShape(x.shape.slice(2), shape.slice(2)) && x.shape[0] === shape[0]
      ? samePlace
      : "whole",
  infer(inputs, { shape }) {
    checkCount("reshape", inputs, 1);
    checkShape("reshape", shape);
    const [x] = inputs;
    if (sizeOf(shape) !== sizeOf(x.shape)) {
      throw new ShapeError(
        expected(
          "reshape",
          `a shape of ${sizeOf(x.shape)} elements for input ${showShape(x.shape)}`,
          showShape(shape),
        ),
      );
    }
    return [{ dtype: x.dtype, shape }];
  },
  reference: ([x], _attrs, [y]) => y.data.set(x.data as never),
  gradient: ({ inputs: [x], outputGradients: [dy] }) => [dy.reshape(x.shape)],
  placement: () => sameMemory,
};

export const transposeOp: OpDef<{ readonly perm: readonly number[] }> = {
  name: "transpose",
  byImage: (_inputs, attrs) => (attrs.perm[0] === 0 ? attrs : undefined),
  sight: (_inputs, { perm }, axis) => (perm[2 + axis] === 2 + axis ? samePlace : "whole"),
  infer(inputs, { perm }) {
    checkCount("transpose", inputs, 1);
    const [x] = inputs;
    const axes = x.shape.map((_, axis) => axis);
    if (perm.length !== axes.length || !axes.every((axis) => perm.includes(axis))) {
      throw new ShapeError(
        expected(
          "transpose",
          `a permutation of the ${axes.length} axes of input ${showShape(x.shape)}`,
          show([...perm]),
        ),
      );
    }
    return [{ dtype: x.dtype, shape: perm.map((axis) => x.shape[axis]) }];
  },
  reference([x], { perm }, [y]) {
    const strides = stridesOf(x.shape);
    const moved = perm.map((axis) => strides[axis]);
    copyFrom(x, y, (index) => dot(index, moved));
  },
  gradient: ({ attrs: { perm }, outputGradients: [dy] }) =>
    dispatch(transposeOp, [dy], { perm: perm.map((_, axis) => perm.indexOf(axis)) }),
};

export const concatOp: OpDef<{ readonly axis: number }> = {
  name: "concat",
  byImage: (_inputs, attrs, ofBatch) =>
    attrs.axis !== 0 && ofBatch.every(Boolean) ? attrs : undefined,
  sight(inputs, { axis: along }, axis, input) {
    if (along !== 2 + axis) return samePlace;
    const before = inputs.slice(0, input).reduce((sum, x) => sum + x.shape[along], 0);
    const size = inputs[input].shape[along];
    return (at) => (at >= before && at < before + size ? [at - before, at - before] : [1, 0]);
  },
  infer(inputs, { axis }) {
    checkCount("concat", inputs, 1, Number.POSITIVE_INFINITY);
    checkSameDtype("concat", inputs);
    const [first] = inputs;
    normalizeAxis("concat", axis, first.shape.length);
    for (const { shape } of inputs) {
      if (
        shape.length !== first.shape.length ||
        shape.some((n, a) => a !== axis && n !== first.shape[a])
      ) {
        throw new ShapeError(
          expected(
            "concat",
            `shapes equal but for axis ${axis}`,
            `${showShape(first.shape)} and ${showShape(shape)}`,
          ),
        );
      }
    }
    const length = inputs.reduce((sum, { shape }) => sum + shape[axis], 0);
    return [{ dtype: first.dtype, shape: first.shape.map((n, a) => (a === axis ? length : n)) }];
  },
  reference(inputs, { axis }, [y]) {
    const outer = sizeOf(y.shape.slice(0, axis));
    const row = sizeOf(y.shape.slice(axis));
    let start = 0;
    for (const x of inputs) {
      const part = sizeOf(x.shape.slice(axis));
      for (let o = 0; o < outer; o++)
        y.data.set(x.data.subarray(o * part, (o + 1) * part) as never, o * row + start);
      start += part;
    }
  },
  gradient: ({ inputs, attrs: { axis }, outputGradients: [dy] }) =>
    dispatch(splitOp, [dy], { axis, sizes: inputs.map((x) => x.shape[axis]) }),
  placement: (inputs, { axis }) => ({
    whole: "output",
    axis,
    starts: startsOf(inputs.map(({ shape }) => shape[axis])),
  }),
  layout: (inputs, { axis }) => (inputs.every(isImage) && axis === 1 ? "follows" : "plain"),
};

export const splitOp: OpDef<{ readonly axis: number; readonly sizes: readonly number[] }> = {
  name: "split",
  byImage: byImageUnlessAlong(({ axis }) => [axis]),
  sight: (_inputs, { axis: along }, axis) => (along === 2 + axis ? "whole" : samePlace),
  gradient: ({ attrs: { axis }, outputGradients }) => dispatch(concatOp, outputGradients, { axis }),
  placement: (_inputs, { axis, sizes }) => ({ whole: "input", axis, starts: startsOf(sizes) }),
  layout: ([x], { axis }) => (isImage(x) && axis === 1 ? "follows" : "plain"),
  infer(inputs, { axis, sizes }) {
    checkCount("split", inputs, 1);
    const [x] = inputs;
    normalizeAxis("split", axis, x.shape.length);
    checkSizes("split", sizes);
    const total = sizes.reduce((a, b) => a + b, 0);
    if (total !== x.shape[axis]) {
      throw new ShapeError(
        expected(
          "split",
          `sizes that add up to ${x.shape[axis]} (axis ${axis} of ${showShape(x.shape)})`,
          `${show([...sizes])}`,
        ),
      );
    }
    return sizes.map((size) => ({
      dtype: x.dtype,
      shape: x.shape.map((n, a) => (a === axis ? size : n)),
    }));
  },
  reference([x], { axis }, outputs) {
    const outer = sizeOf(x.shape.slice(0, axis));
    const row = sizeOf(x.shape.slice(axis));
    let start = 0;
    for (const y of outputs) {
      const part = sizeOf(y.shape.slice(axis));
      for (let o = 0; o < outer; o++)
        y.data.set(x.data.subarray(o * row + start, o * row + start + part) as never, o * part);
      start += part;
    }
  },
};

export interface SliceAttrs {
  readonly starts: readonly number[];
  readonly sizes: readonly number[];
  readonly steps: readonly number[];
}

export const sliceOp: OpDef<SliceAttrs> = {
  name: "slice",
  byImage([x], attrs) {
    const { sizes, steps } = attrs;
    return sizes[0] === x.shape[0] && steps[0] === 1
      ? { ...attrs, sizes: [1, ...sizes.slice(1)] }
      : undefined;
  },
  sight:
    (_inputs, { starts, steps }, axis) =>
    (at) => {
      const place = starts[2 + axis] + at * steps[2 + axis];
      return [place, place];
    },
  gradient: (step) => moveGradient(sliceOp, step),
  placement([x], { starts, sizes, steps }) {
    const cut = x.shape.flatMap((n, axis) => (sizes[axis] === n ? [] : [axis]));
    const [axis = 0] = cut;
    return cut.length <= 1 && steps.every((step) => step === 1)
      ? { whole: "input", axis, starts: [starts[axis]] }
      : undefined;
  },
  // Of images, only channels.
  layout: ([x], { sizes, steps }) =>
    isImage(x) && [0, 2, 3].every((axis) => sizes[axis] === x.shape[axis] && steps[axis] === 1)
      ? "follows"
      : "plain",
  infer(inputs, { starts, sizes, steps }) {
    checkCount("slice", inputs, 1);
    const [x] = inputs;
    checkShape("slice", sizes);
    x.shape.forEach((n, axis) => {
      const last = starts[axis] + (sizes[axis] - 1) * steps[axis];
      if (sizes[axis] > 0 && (starts[axis] < 0 || starts[axis] >= n || last < 0 || last >= n)) {
        throw new ShapeError(
          expected(
            "slice",
            `indices from 0 to ${n - 1} on axis ${axis}`,
            `${starts[axis]} to ${last}`,
          ),
        );
      }
    });
    return [{ dtype: x.dtype, shape: sizes }];
  },
  reference([x], { starts, steps }, [y]) {
    const strides = stridesOf(x.shape);
    copyFrom(x, y, (index) =>
      index.reduce((sum, i, axis) => sum + (starts[axis] + i * steps[axis]) * strides[axis], 0),
    );
  },
};

export const expandOp: OpDef<{ readonly shape: readonly number[] }> = {
  name: "expand",
  byImage: ([x], { shape }) =>
    shape.length === x.shape.length && shape[0] === x.shape[0]
      ? { shape: [1, ...shape.slice(1)] }
      : undefined,
  gradient: (step) => moveGradient(expandOp, step),
  infer(inputs, { shape }) {
    checkCount("expand", inputs, 1);
    checkShape("expand", shape);
    const [x] = inputs;
    if (!sameShape(broadcastShapes("expand", x.shape, shape), shape)) {
      throw new ShapeError(
        expected("expand", `a shape that ${showShape(x.shape)} broadcasts to`, showShape(shape)),
      );
    }
    return [{ dtype: x.dtype, shape }];
  },
  reference([x], _attrs, [y]) {
    const strides = broadcastStrides(x.shape, y.shape);
    copyFrom(x, y, (index) => dot(index, strides));
  },
};

export const tileOp: OpDef<{ readonly repeats: readonly number[] }> = {
  name: "tile",
  byImage: (_inputs, attrs) => (attrs.repeats[0] === 1 ? attrs : undefined),
  gradient: (step) => moveGradient(tileOp, step),
  infer(inputs, { repeats }) {
    checkCount("tile", inputs, 1);
    const [x] = inputs;
    if (repeats.length !== x.shape.length) {
      throw new ShapeError(
        expected(
          "tile",
          `${x.shape.length} repeats for input ${showShape(x.shape)}`,
          show([...repeats]),
        ),
      );
    }
    const shape = x.shape.map((n, axis) => n * repeats[axis]);
    checkShape("tile", shape);
    return [{ dtype: x.dtype, shape }];
  },
  reference([x], _attrs, [y]) {
    const strides = stridesOf(x.shape);
    copyFrom(x, y, (index) =>
      index.reduce((sum, i, axis) => sum + (i % x.shape[axis]) * strides[axis], 0),
    );
  },
};

/** The same values in another memory layout. The reference keeps every value plain, so there it is a copy. */
export const reorderOp: OpDef<{ readonly to: "plain" | "blocked" }> = {
  name: "reorder",
  infer(inputs) {
    checkCount("reorder", inputs, 1);
    checkRank("reorder", "input", inputs[0], 4, "(N, C, H, W)");
    return [inputs[0]];
  },
  reference: ([x], _attrs, [y]) => y.data.set(x.data as never),
  placement: () => sameMemory,
};

/** The same elements, row-major, in another shape. One size may be -1: it is worked out. */
export const reshape = (x: Tensor, shape: readonly number[]): Tensor =>
  dispatch(reshapeOp, [x], { shape: x.reshape(shape).shape })[0];

/** Axes startDim to endDim (inclusive, negative from the end) as one; default all but the first. */
export function flatten(x: Tensor, startDim = 0, endDim = -1): Tensor {
  const start = normalizeAxis("flatten", startDim, x.rank);
  const end = normalizeAxis("flatten", endDim, x.rank);
  if (start > end)
    throw new OptionError(expected("flatten", "startDim <= endDim", `${startDim} and ${endDim}`));
  return reshape(x, [
    ...x.shape.slice(0, start),
    sizeOf(x.shape.slice(start, end + 1)),
    ...x.shape.slice(end + 1),
  ]);
}

/** Axis i of the result is axis dims[i] of x. */
export const permute = (x: Tensor, dims: readonly number[]): Tensor =>
  dispatch(transposeOp, [x], { perm: dims.map((d) => normalizeAxis("permute", d, x.rank)) })[0];

/** Tensors one after the other along an axis; default the first. */
export function cat(tensors: readonly Tensor[], dim = 0): Tensor {
  if (tensors.length === 0) throw new TensorError(expected("cat", "at least one tensor", "none"));
  return dispatch(concatOp, tensors, { axis: normalizeAxis("cat", dim, tensors[0].rank) })[0];
}

/** Tensors of one shape along a new axis; default in front. */
export function stack(tensors: readonly Tensor[], dim = 0): Tensor {
  if (tensors.length === 0) throw new TensorError(expected("stack", "at least one tensor", "none"));
  const axis = normalizeAxis("stack", dim, tensors[0].rank + 1);
  return cat(
    tensors.map((t) => reshape(t, [...t.shape.slice(0, axis), 1, ...t.shape.slice(axis)])),
    axis,
  );
}
