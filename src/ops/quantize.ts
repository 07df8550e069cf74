/**
 * Numbers as small integers: real = (stored - zeroPoint) * scale. Conversions, and the integer products and convolutions.
 * Sources: ONNX operators QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, ConvInteger, QLinearConv, MatMulInteger, QLinearMatMul.
 */
import { type DType, isFloat, roundHalfEven } from "../core/dtype.js";
import { expected, ShapeError, showShape, TensorError } from "../core/errors.js";
import type { OpDef, TensorType } from "../core/op.js";
import { forEachIndex, sizeOf, stridesOf } from "../core/shape.js";
import { numbersOf, readNumber, Tensor, writeNumber } from "../core/tensor.js";
import { type Conv2dAttrs, conv2dOp } from "./conv2d.js";
import { matmulOp } from "./linear.js";
import { checkCount, checkDtype } from "./shared.js";

export interface QuantizeAttrs {
  /** The axis that scales run along; of no meaning for one scale. */
  readonly axis: number;
  /** Elements per scale along the axis; 0: one scale per index. */
  readonly blockSize: number;
}

const ranges: Readonly<Record<string, readonly [number, number]>> = {
  uint8: [0, 255],
  int8: [-128, 127],
  int32: [-(2 ** 31), 2 ** 31 - 1],
};

/** The nearest integer (ties to even) of a dtype, kept within its range. */
function saturate(value: number, dtype: DType): number {
  const [low, high] = ranges[dtype];
  const rounded = roundHalfEven(value);
  return rounded < low ? low : rounded > high ? high : rounded;
}

/** For each element of x, the place of its scale. */
function scalePlaces(
  scale: TensorType,
  { axis, blockSize }: QuantizeAttrs,
): (index: readonly number[]) => number {
  if (sizeOf(scale.shape) === 1) return () => 0;
  if (blockSize === 0) return (index) => index[axis];
  const strides = stridesOf(scale.shape);
  return (index) =>
    index.reduce((sum, i, a) => sum + (a === axis ? Math.floor(i / blockSize) : i) * strides[a], 0);
}

function checkScale(
  op: string,
  x: TensorType,
  scale: TensorType,
  zero: TensorType | undefined,
  attrs: QuantizeAttrs,
): void {
  if (!isFloat(scale.dtype)) throw new TensorError(expected(op, "a float scale", scale.dtype));
  if (sizeOf(scale.shape) !== 1) {
    const wanted = attrs.blockSize
      ? x.shape.map((n, a) => (a === attrs.axis ? Math.ceil(n / attrs.blockSize) : n))
      : [x.shape[attrs.axis]];
    if (wanted.join() !== scale.shape.join()) {
      throw new ShapeError(
        expected(op, `one scale, or scales of shape ${showShape(wanted)}`, showShape(scale.shape)),
      );
    }
  }
  if (zero && sizeOf(zero.shape) !== sizeOf(scale.shape)) {
    throw new ShapeError(
      expected(op, `a zero point of shape ${showShape(scale.shape)}`, showShape(zero.shape)),
    );
  }
}

export const quantizeLinearOp: OpDef<QuantizeAttrs & { readonly to: DType }> = {
  name: "quantizeLinear",
  infer(inputs, attrs) {
    checkCount("quantizeLinear", inputs, 2, 3);
    const [x, scale, zero] = inputs;
    checkScale("quantizeLinear", x, scale, zero, attrs);
    return [{ dtype: attrs.to, shape: x.shape }];
  },
  reference([x, scale, zero], attrs, [y]) {
    const place = scalePlaces(scale, attrs);
    const from = numbersOf(x);
    forEachIndex(x.shape, (index, i) => {
      const p = place(index);
      // The quotient is a float32 in ONNX, and rounding it may decide a tie.
      const value = Math.fround(from[i] / readNumber(scale, p));
      writeNumber(
        y,
        i,
        saturate(roundHalfEven(value) + (zero ? readNumber(zero, p) : 0), attrs.to),
      );
    });
  },
};

export const dequantizeLinearOp: OpDef<QuantizeAttrs> = {
  name: "dequantizeLinear",
  infer(inputs, attrs) {
    checkCount("dequantizeLinear", inputs, 2, 3);
    const [x, scale, zero] = inputs;
    checkDtype("dequantizeLinear", "input", x, ["int8", "uint8", "int32"]);
    checkScale("dequantizeLinear", x, scale, zero, attrs);
    return [{ dtype: scale.dtype, shape: x.shape }];
  },
  reference([x, scale, zero], attrs, [y]) {
    const place = scalePlaces(scale, attrs);
    const [from, s] = [numbersOf(x), numbersOf(scale)];
    const z = zero && numbersOf(zero);
    forEachIndex(x.shape, (index, i) => {
      const p = place(index);
      writeNumber(y, i, (from[i] - (z ? z[p] : 0)) * s[p]);
    });
  },
};

/** uint8 with the scale and zero point that just hold the input's range, 0 included: outputs y, scale, zeroPoint. */
export const dynamicQuantizeLinearOp: OpDef = {
  name: "dynamicQuantizeLinear",
  infer(inputs) {
    checkCount("dynamicQuantizeLinear", inputs, 1);
    checkDtype("dynamicQuantizeLinear", "input", inputs[0], ["float32"]);
    return [
      { dtype: "uint8", shape: inputs[0].shape },
      { dtype: "float32", shape: [] },
      { dtype: "uint8", shape: [] },
    ];
  },
  reference([x], _attrs, [y, scale, zeroPoint]) {
    let [low, high] = [0, 0];
    for (const value of x.data as Float32Array) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    const step = Math.fround((high - low) / 255) || 1;
    const zero = saturate(Math.fround(-low / step), "uint8");
    scale.data[0] = step;
    zeroPoint.data[0] = zero;
    for (let i = 0; i < x.size; i++)
      y.data[i] = saturate(
        roundHalfEven(Math.fround((x.data[i] as number) / step)) + zero,
        "uint8",
      );
  },
};

/** x minus its zero point (one, or one per index of an axis) as float64: exact for all our integers. */
function centred(x: Tensor, zero: Tensor | undefined, axis: number): Tensor {
  const result = Tensor.zeros(x.shape, "float64");
  const from = numbersOf(x);
  forEachIndex(x.shape, (index, i) => {
    result.data[i] = from[i] - (zero ? readNumber(zero, zero.size === 1 ? 0 : index[axis]) : 0);
  });
  return result;
}

const float64 = (t: TensorType): TensorType => ({ dtype: "float64", shape: t.shape });

function integerConv(
  x: Tensor,
  xZero: Tensor | undefined,
  weight: Tensor,
  wZero: Tensor | undefined,
  attrs: Conv2dAttrs,
): Tensor {
  const inputs = [centred(x, xZero, 1), centred(weight, wZero, 0)];
  const y = Tensor.zeros(conv2dOp.infer(inputs, attrs)[0].shape, "float64");
  conv2dOp.reference(inputs, attrs, [y]);
  return y;
}

function integerProduct(
  a: Tensor,
  aZero: Tensor | undefined,
  b: Tensor,
  bZero: Tensor | undefined,
): Tensor {
  // A zero point per row of a, or per column of b.
  const inputs = [centred(a, aZero, a.rank - 2), centred(b, bZero, b.rank - 1)];
  const y = Tensor.zeros(matmulOp.infer(inputs, {})[0].shape, "float64");
  matmulOp.reference(inputs, {}, [y]);
  return y;
}

const integers: readonly DType[] = ["int8", "uint8"];

/** conv2d of integers, zero points taken off first, into int32. Inputs: x, weight, [xZero], [wZero]. */
export const convIntegerOp: OpDef<Conv2dAttrs> = {
  name: "convInteger",
  infer(inputs, attrs) {
    checkCount("convInteger", inputs, 2, 4);
    checkDtype("convInteger", "input", inputs[0], integers);
    checkDtype("convInteger", "weight", inputs[1], integers);
    return [
      {
        dtype: "int32",
        shape: conv2dOp.infer([float64(inputs[0]), float64(inputs[1])], attrs)[0].shape,
      },
    ];
  },
  reference: ([x, weight, xZero, wZero], attrs, [y]) =>
    y.data.set(integerConv(x, xZero, weight, wZero, attrs).data as never),
  window: (inputs, attrs) => ({
    kernel: inputs[1].shape.slice(2),
    stride: attrs.stride,
    padding: attrs.padding,
    dilation: attrs.dilation,
  }),
};

/** Inputs: x, xScale, xZero, weight, wScale, wZero, yScale, yZero, [bias int32, in units of xScale * wScale]. */
export const qlinearConvOp: OpDef<Conv2dAttrs> = {
  name: "qlinearConv",
  infer(inputs, attrs) {
    checkCount("qlinearConv", inputs, 8, 9);
    const [x, , , weight, , , , yZero] = inputs;
    checkDtype("qlinearConv", "input", x, integers);
    checkDtype("qlinearConv", "weight", weight, integers);
    return [
      { dtype: yZero.dtype, shape: conv2dOp.infer([float64(x), float64(weight)], attrs)[0].shape },
    ];
  },
  reference([x, xScale, xZero, weight, wScale, wZero, yScale, yZero, bias], attrs, [y]) {
    const sums = integerConv(x, xZero, weight, wZero, attrs);
    const plane = sizeOf(y.shape.slice(2));
    for (let i = 0; i < y.size; i++) {
      const o = Math.floor(i / plane) % y.shape[1];
      const total = (sums.data[i] as number) + (bias ? readNumber(bias, o) : 0);
      const real =
        (total * readNumber(xScale, 0) * readNumber(wScale, wScale.size === 1 ? 0 : o)) /
        readNumber(yScale, 0);
      y.data[i] = saturate(roundHalfEven(real) + readNumber(yZero, 0), y.dtype);
    }
  },
  window: (inputs, attrs) => ({
    kernel: inputs[3].shape.slice(2),
    stride: attrs.stride,
    padding: attrs.padding,
    dilation: attrs.dilation,
  }),
};

/** matmul of integers, zero points taken off first, into int32. Inputs: a, b, [aZero], [bZero]. */
export const matmulIntegerOp: OpDef = {
  name: "matmulInteger",
  infer(inputs) {
    checkCount("matmulInteger", inputs, 2, 4);
    checkDtype("matmulInteger", "a", inputs[0], integers);
    checkDtype("matmulInteger", "b", inputs[1], integers);
    return [
      {
        dtype: "int32",
        shape: matmulOp.infer([float64(inputs[0]), float64(inputs[1])], {})[0].shape,
      },
    ];
  },
  reference: ([a, b, aZero, bZero], _attrs, [y]) =>
    y.data.set(integerProduct(a, aZero, b, bZero).data as never),
};

/** Inputs: a, aScale, aZero, b, bScale, bZero, yScale, yZero. */
export const qlinearMatmulOp: OpDef = {
  name: "qlinearMatmul",
  infer(inputs) {
    checkCount("qlinearMatmul", inputs, 8);
    checkDtype("qlinearMatmul", "a", inputs[0], integers);
    checkDtype("qlinearMatmul", "b", inputs[3], integers);
    return [
      {
        dtype: inputs[7].dtype,
        shape: matmulOp.infer([float64(inputs[0]), float64(inputs[3])], {})[0].shape,
      },
    ];
  },
  reference([a, aScale, aZero, b, bScale, bZero, yScale, yZero], _attrs, [y]) {
    const sums = integerProduct(a, aZero, b, bZero);
    const factor = (readNumber(aScale, 0) * readNumber(bScale, 0)) / readNumber(yScale, 0);
    for (let i = 0; i < y.size; i++) {
      y.data[i] = saturate(
        roundHalfEven((sums.data[i] as number) * factor) + readNumber(yZero, 0),
        y.dtype,
      );
    }
  },
};
