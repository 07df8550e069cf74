/** Products of matrices: linear (a fully connected layer), matmul (NumPy's), gemm (BLAS's). */
import { dispatch } from "../core/dispatch.js";
import { expected, ShapeError, showShape } from "../core/errors.js";
import type { Activation, OpDef } from "../core/op.js";
import { broadcastShapes, broadcastStrides, forEachIndex, sizeOf } from "../core/shape.js";
import { numbersOf, type Tensor, writeNumber } from "../core/tensor.js";
import { transposeOp } from "./data.js";
import { applyActivation } from "./epilogue.js";
import {
  checkCount,
  checkFloat,
  checkRank,
  checkSameDtype,
  checkShapeIs,
  firstByImage,
  sumTo,
} from "./shared.js";

export interface LinearAttrs {
  readonly activation?: Activation;
}

/** y[..., o] = bias[o] + sum over i of x[..., i] * weight[o, i] */
export const linearOp: OpDef<LinearAttrs> = {
  name: "linear",
  byImage: (inputs, attrs, ofBatch) =>
    inputs[0].shape.length > 1 ? firstByImage(inputs, attrs, ofBatch) : undefined,
  epilogue: "activation",
  infer(inputs) {
    checkCount("linear", inputs, 2, 3);
    checkFloat("linear", inputs);
    const [x, weight, bias] = inputs;
    checkRank("linear", "weight", weight, 2, "(out, in)");
    const features = x.shape.at(-1);
    if (features !== weight.shape[1]) {
      throw new ShapeError(
        expected(
          "linear",
          `${weight.shape[1]} input features for weight ${showShape(weight.shape)}`,
          `${features} in input ${showShape(x.shape)}`,
        ),
      );
    }
    if (bias) checkShapeIs("linear", "bias", bias, [weight.shape[0]]);
    return [{ dtype: x.dtype, shape: [...x.shape.slice(0, -1), weight.shape[0]] }];
  },
  reference([x, weight, bias], attrs, [y]) {
    const [out, features] = weight.shape;
    const rows = sizeOf(x.shape.slice(0, -1));
    const [from, w] = [x.data as Float32Array, weight.data as Float32Array];
    for (let row = 0; row < rows; row++) {
      for (let o = 0; o < out; o++) {
        let sum = bias ? (bias.data[o] as number) : 0;
        for (let i = 0; i < features; i++) sum += from[row * features + i] * w[o * features + i];
        y.data[row * out + o] = sum;
      }
    }
    applyActivation(y, attrs.activation);
  },
  macs: ([x, weight]) => sizeOf(x.shape) * weight.shape[0],
  gradient({ inputs: [x, weight, bias], outputGradients: [dy], needs }) {
    const [out, features] = weight.shape;
    const [rows, changes] = [x.reshape([-1, features]), dy.reshape([-1, out])];
    const [dx] = needs[0] ? dispatch(matmulOp, [changes, weight], {}) : [];
    const [dw] = needs[1] ? dispatch(matmulOp, [transposed(changes), rows], {}) : [];
    return [dx?.reshape(x.shape), dw, bias && sumTo(changes, [1, out]).reshape([out])];
  },
};

/** The last two axes swapped. */
const transposed = (t: Tensor): Tensor => {
  const axes = t.shape.map((_, axis) => axis);
  const perm = [...axes.slice(0, -2), t.rank - 1, t.rank - 2];
  return dispatch(transposeOp, [t], { perm })[0];
};

/** The shapes of a matmul: 1-D operands become a row or a column for the while, the axes in front broadcast. */
function matmulShapes(a: readonly number[], b: readonly number[]) {
  const fullA = a.length === 1 ? [1, a[0]] : a;
  const fullB = b.length === 1 ? [b[0], 1] : b;
  const [m, k] = fullA.slice(-2);
  const [k2, n] = fullB.slice(-2);
  if (a.length === 0 || b.length === 0 || k !== k2) {
    throw new ShapeError(
      expected("matmul", "inner sizes that agree", `${showShape(a)} and ${showShape(b)}`),
    );
  }
  const batch = broadcastShapes("matmul", fullA.slice(0, -2), fullB.slice(0, -2));
  const shape = [...batch, ...(a.length === 1 ? [] : [m]), ...(b.length === 1 ? [] : [n])];
  return { fullA, fullB, m, k, n, batch, shape };
}

/** Whether the one operand of a matmul is the same for all matrices of the other, which lie along an axis in front. */
const servesMatrices = (one: readonly number[], all: readonly number[]): boolean =>
  all.length > 2 && (one.length < all.length || (one.length === all.length && one[0] === 1));

export interface MatmulAttrs {
  /** What the products are multiplied with; a pass puts it here. */
  readonly alpha?: number;
}

/** NumPy's matmul: the last two axes are matrices, the axes in front broadcast. */
export const matmulOp: OpDef<MatmulAttrs> = {
  name: "matmul",
  byImage([a, b], attrs, [ofA, ofB]) {
    const [rankA, rankB] = [a.shape.length, b.shape.length];
    const independent =
      ofA && ofB
        ? rankA === rankB && rankA > 2
        : ofA
          ? (rankA === 2 && rankB <= 2) || servesMatrices(b.shape, a.shape)
          : servesMatrices(a.shape, b.shape);
    return independent ? attrs : undefined;
  },
  infer(inputs) {
    checkCount("matmul", inputs, 2);
    checkSameDtype("matmul", inputs);
    const [a, b] = inputs;
    return [{ dtype: a.dtype, shape: matmulShapes(a.shape, b.shape).shape }];
  },
  reference([a, b], { alpha = 1 }, [y]) {
    const { fullA, fullB, m, k, n, batch } = matmulShapes(a.shape, b.shape);
    const [da, db] = [numbersOf(a), numbersOf(b)];
    const [sa, sb] = [
      broadcastStrides(fullA.slice(0, -2), batch),
      broadcastStrides(fullB.slice(0, -2), batch),
    ];
    forEachIndex(batch, (index, flat) => {
      const baseA = index.reduce((sum, i, axis) => sum + i * sa[axis], 0) * m * k;
      const baseB = index.reduce((sum, i, axis) => sum + i * sb[axis], 0) * k * n;
      for (let row = 0; row < m; row++) {
        for (let column = 0; column < n; column++) {
          let sum = 0;
          for (let i = 0; i < k; i++) sum += da[baseA + row * k + i] * db[baseB + i * n + column];
          writeNumber(y, (flat * m + row) * n + column, alpha * sum);
        }
      }
    });
  },
  gradient({ inputs: [a, b], outputGradients: [dy] }) {
    const { fullA, fullB, m, n, batch } = matmulShapes(a.shape, b.shape);
    const [left, right, change] = [
      a.reshape(fullA),
      b.reshape(fullB),
      dy.reshape([...batch, m, n]),
    ];
    const [da] = dispatch(matmulOp, [change, transposed(right)], {});
    const [db] = dispatch(matmulOp, [transposed(left), change], {});
    return [sumTo(da, fullA).reshape(a.shape), sumTo(db, fullB).reshape(b.shape)];
  },
  macs: ([a, b]) => {
    const { m, k, n, batch } = matmulShapes(a.shape, b.shape);
    return sizeOf(batch) * m * k * n;
  },
};

function scale(t: Tensor, by: number): Tensor {
  const result = t.clone();
  for (let i = 0; i < t.size; i++) result.data[i] = (t.data[i] as number) * by;
  return result;
}

export interface GemmAttrs {
  readonly alpha: number;
  readonly beta: number;
  readonly transA: boolean;
  readonly transB: boolean;
}

/** y = alpha * A' B' + beta * C, with A' and B' transposed if asked, C broadcast. */
export const gemmOp: OpDef<GemmAttrs> = {
  name: "gemm",
  byImage(inputs, attrs, ofBatch) {
    const c = inputs[2];
    const served = !c || c.shape.length < 2 || c.shape[0] === 1;
    return served && !attrs.transA ? firstByImage(inputs, attrs, ofBatch) : undefined;
  },
  infer(inputs, attrs) {
    checkCount("gemm", inputs, 2, 3);
    checkSameDtype("gemm", inputs);
    const [a, b, c] = inputs;
    checkRank("gemm", "a", a, 2, "(M, K)");
    checkRank("gemm", "b", b, 2, "(K, N)");
    const [m, k] = attrs.transA ? [a.shape[1], a.shape[0]] : a.shape;
    const [k2, n] = attrs.transB ? [b.shape[1], b.shape[0]] : b.shape;
    if (k !== k2)
      throw new ShapeError(
        expected(
          "gemm",
          "inner sizes that agree",
          `${k} and ${k2} of ${showShape(a.shape)} and ${showShape(b.shape)}`,
        ),
      );
    if (c && broadcastShapes("gemm", [m, n], c.shape).join() !== `${m},${n}`) {
      throw new ShapeError(
        expected("gemm", `c that broadcasts to ${showShape([m, n])}`, showShape(c.shape)),
      );
    }
    return [{ dtype: a.dtype, shape: [m, n] }];
  },
  reference([a, b, c], attrs, [y]) {
    const [m, n] = y.shape;
    const k = attrs.transA ? a.shape[0] : a.shape[1];
    const [da, db] = [numbersOf(a), numbersOf(b)];
    const dc = c && numbersOf(c);
    const sc = c && broadcastStrides(c.shape, y.shape);
    for (let row = 0; row < m; row++) {
      for (let column = 0; column < n; column++) {
        let sum = 0;
        for (let i = 0; i < k; i++) {
          sum +=
            da[attrs.transA ? i * m + row : row * k + i] *
            db[attrs.transB ? column * k + i : i * n + column];
        }
        const add = dc && sc ? attrs.beta * dc[row * sc[0] + column * sc[1]] : 0;
        writeNumber(y, row * n + column, attrs.alpha * sum + add);
      }
    }
  },
  gradient({ inputs: [a, b, c], attrs: { alpha, beta, transA, transB }, outputGradients: [dy] }) {
    const [left, right] = [transA ? transposed(a) : a, transB ? transposed(b) : b];
    const scaled = scale(dy, alpha);
    const [da] = dispatch(matmulOp, [scaled, transposed(right)], {});
    const [db] = dispatch(matmulOp, [transposed(left), scaled], {});
    return [
      transA ? transposed(da) : da,
      transB ? transposed(db) : db,
      c && sumTo(scale(dy, beta), c.shape),
    ];
  },
  macs: ([a, b], attrs) => sizeOf(a.shape) * b.shape[attrs.transB ? 0 : 1],
};

/**
 * A fully connected layer: x times the transpose of weight, plus bias.
 *
 * @param input   (..., in)
 * @param weight  (out, in)
 * @param bias    (out,), default none
 * @returns (..., out)
 * @see torch.nn.functional.linear
 */
export const linear = (input: Tensor, weight: Tensor, bias?: Tensor): Tensor =>
  dispatch(linearOp, bias ? [input, weight, bias] : [input, weight], {})[0];

/** Matrix product with NumPy's rules for 1-D operands and batches. */
export const matmul = (a: Tensor, b: Tensor): Tensor => dispatch(matmulOp, [a, b], {})[0];
