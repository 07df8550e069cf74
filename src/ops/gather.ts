/** Ops that take elements at places which a tensor of indices says, for any dtype: gather, gatherElements, gatherNd. */
import { dispatch } from "../core/dispatch.js";
import { expected, ShapeError, showShape } from "../core/errors.js";
import type { OpDef, TensorType } from "../core/op.js";
import { normalizeAxis, sizeOf, stridesOf } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";
import { moveGradient } from "./moveGradient.js";
import { byImageUnlessAlong, checkCount, checkDtype, checkRank, copyFrom } from "./shared.js";

/** An index of a gather, negative from the end, as a place from the front. */
function place(op: string, value: number | bigint, length: number): number {
  const i = Number(value);
  if (i < -length || i >= length)
    throw new ShapeError(expected(op, `indices from ${-length} to ${length - 1}`, `${i}`));
  return i < 0 ? i + length : i;
}

function checkIndices(op: string, indices: TensorType): void {
  checkDtype(op, "indices", indices, ["int64", "int32"]);
}

export const gatherOp: OpDef<{ readonly axis: number }> = {
  name: "gather",
  byImage: byImageUnlessAlong(({ axis }) => [axis]),
  gradient: (step) => moveGradient(gatherOp, step),
  infer(inputs, { axis }) {
    checkCount("gather", inputs, 2);
    const [x, indices] = inputs;
    checkIndices("gather", indices);
    normalizeAxis("gather", axis, x.shape.length);
    return [
      {
        dtype: x.dtype,
        shape: [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)],
      },
    ];
  },
  reference([x, indices], { axis }, [y]) {
    const outer = sizeOf(x.shape.slice(0, axis));
    const inner = sizeOf(x.shape.slice(axis + 1));
    const length = x.shape[axis];
    let to = 0;
    for (let o = 0; o < outer; o++) {
      for (const index of indices.data) {
        const from = (o * length + place("gather", index, length)) * inner;
        y.data.set(x.data.subarray(from, from + inner) as never, to);
        to += inner;
      }
    }
  },
};

export const gatherElementsOp: OpDef<{ readonly axis: number }> = {
  name: "gatherElements",
  gradient: (step) => moveGradient(gatherElementsOp, step),
  infer(inputs, { axis }) {
    checkCount("gatherElements", inputs, 2);
    const [x, indices] = inputs;
    checkIndices("gatherElements", indices);
    checkRank("gatherElements", "indices", indices, x.shape.length, "as many axes as the input");
    normalizeAxis("gatherElements", axis, x.shape.length);
    indices.shape.forEach((n, a) => {
      if (a !== axis && n > x.shape[a])
        throw new ShapeError(
          expected("gatherElements", `indices of at most ${x.shape[a]} on axis ${a}`, `${n}`),
        );
    });
    return [{ dtype: x.dtype, shape: indices.shape }];
  },
  reference([x, indices], { axis }, [y]) {
    const strides = stridesOf(x.shape);
    let next = 0;
    copyFrom(x, y, (index) => {
      const at = place("gatherElements", indices.data[next++], x.shape[axis]);
      return index.reduce((sum, i, a) => sum + (a === axis ? at : i) * strides[a], 0);
    });
  },
};

export const gatherNdOp: OpDef<{ readonly batchDims: number }> = {
  name: "gatherNd",
  gradient: (step) => moveGradient(gatherNdOp, step),
  infer(inputs, { batchDims }) {
    checkCount("gatherNd", inputs, 2);
    const [x, indices] = inputs;
    checkDtype("gatherNd", "indices", indices, ["int64"]);
    const depth = indices.shape.at(-1) ?? 0;
    if (indices.shape.length <= batchDims || depth < 1 || depth > x.shape.length - batchDims) {
      throw new ShapeError(
        expected(
          "gatherNd",
          `indices (..., 1 to ${x.shape.length - batchDims})`,
          showShape(indices.shape),
        ),
      );
    }
    return [
      {
        dtype: x.dtype,
        shape: [...indices.shape.slice(0, -1), ...x.shape.slice(batchDims + depth)],
      },
    ];
  },
  reference([x, indices], { batchDims }, [y]) {
    const depth = indices.shape.at(-1) as number;
    const strides = stridesOf(x.shape);
    const inner = sizeOf(x.shape.slice(batchDims + depth));
    const tuples = indices.size / depth;
    const tuplesPerBatch = tuples / sizeOf(indices.shape.slice(0, batchDims));
    const batchSize = sizeOf(x.shape.slice(batchDims));
    for (let t = 0; t < tuples; t++) {
      let from = Math.floor(t / tuplesPerBatch) * batchSize;
      for (let d = 0; d < depth; d++) {
        from +=
          place("gatherNd", indices.data[t * depth + d], x.shape[batchDims + d]) *
          strides[batchDims + d];
      }
      y.data.set(x.data.subarray(from, from + inner) as never, t * inner);
    }
  },
};

/** x's element at index[...] along an axis, everything else in place. @see torch.gather */
export const gatherElements = (x: Tensor, dim: number, index: Tensor): Tensor =>
  dispatch(gatherElementsOp, [x, index], { axis: normalizeAxis("gather", dim, x.rank) })[0];
