/** Matrix products, and numbers as small integers. */

import { isFloat } from "../../core/dtype.js";
import { normalizeAxis } from "../../core/shape.js";
import { Tensor } from "../../core/tensor.js";
import type { Value } from "../../graph/graph.js";
import { transposeOp } from "../../ops/data.js";
import { gemmOp, linearOp, matmulOp } from "../../ops/linear.js";
import {
  dequantizeLinearOp,
  dynamicQuantizeLinearOp,
  matmulIntegerOp,
  qlinearMatmulOp,
  quantizeLinearOp,
} from "../../ops/quantize.js";
import type { Converter, NodeContext } from "../context.js";
import { dtypeOfElement } from "../tensors.js";

/** A constant matrix with its rows as columns; folded when the graph is compiled. */
const transposed = (c: NodeContext, m: Value): Value =>
  c.emitOne(transposeOp, [m], { perm: [1, 0] });

const gemm: Converter = (c) => {
  const [a, b, bias] = [c.input(0), c.input(1), c.optional(2)];
  const attrs = {
    alpha: c.float("alpha", 1),
    beta: c.float("beta", 1),
    transA: c.int("transA", 0) === 1,
    transB: c.int("transB", 0) === 1,
  };
  const columns = b.type.shape[attrs.transB ? 0 : 1];
  const plainBias =
    bias === undefined || (bias.type.shape.length === 1 && bias.type.shape[0] === columns);
  // The usual case, a fully connected layer, is a linear with the weight (out, in).
  if (
    (b.constant || attrs.transB) &&
    attrs.alpha === 1 &&
    attrs.beta === 1 &&
    !attrs.transA &&
    plainBias &&
    isFloat(a.type.dtype) &&
    a.type.shape.length === 2
  ) {
    return c.emit(linearOp, [a, attrs.transB ? b : transposed(c, b), ...(bias ? [bias] : [])], {});
  }
  return c.emit(gemmOp, bias ? [a, b, bias] : [a, b], attrs);
};

const matmul: Converter = (c) => {
  const [a, b] = [c.input(0), c.input(1)];
  if (
    b.constant &&
    b.type.shape.length === 2 &&
    a.type.shape.length >= 2 &&
    isFloat(a.type.dtype)
  ) {
    return c.emit(linearOp, [a, transposed(c, b)], {});
  }
  return c.emit(matmulOp, [a, b], {});
};

/** A zero point that was left off. */
const zeroLike = (c: NodeContext, of: Value): Value =>
  c.made([], () => Tensor.zeros([], of.type.dtype));

const matmulInteger: Converter = (c) => {
  const [a, b] = [c.input(0), c.input(1)];
  return c.emit(
    matmulIntegerOp,
    [a, b, c.optional(2) ?? zeroLike(c, a), c.optional(3) ?? zeroLike(c, b)],
    {},
  );
};

/** Axis and block size; both mean nothing for a single scale. */
function quantization(c: NodeContext, x: Value, scale: Value): { axis: number; blockSize: number } {
  const blockSize = c.int("block_size", 0);
  const rank = x.type.shape.length;
  const single = scale.type.shape.length === 0 || scale.type.shape.join() === "1";
  return { axis: single ? 0 : normalizeAxis("axis", c.int("axis", 1), rank), blockSize };
}

const quantizeLinear: Converter = (c) => {
  const [x, scale, zero] = [c.input(0), c.input(1), c.optional(2)];
  const stated = c.int("output_dtype", 0);
  const to =
    zero?.type.dtype ?? (stated ? dtypeOfElement(stated, `output_dtype ${c.place}`) : "uint8");
  if (to !== "uint8" && to !== "int8" && to !== "int32")
    throw c.unsupported("to uint8, int8 or 16-bit integers", to);
  return c.emit(quantizeLinearOp, zero ? [x, scale, zero] : [x, scale], {
    ...quantization(c, x, scale),
    to,
  });
};

const dequantizeLinear: Converter = (c) => {
  const [x, scale, zero] = [c.input(0), c.input(1), c.optional(2)];
  return c.emit(
    dequantizeLinearOp,
    zero ? [x, scale, zero] : [x, scale],
    quantization(c, x, scale),
  );
};

export const matrices: Readonly<Record<string, Converter>> = {
  Gemm: gemm,
  MatMul: matmul,
  MatMulInteger: matmulInteger,
  QLinearMatMul: (c) => c.emit(qlinearMatmulOp, c.inputs(), {}),
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
  DynamicQuantizeLinear: (c) => c.emit(dynamicQuantizeLinearOp, [c.input(0)], {}),
};
