/**
 * Elementwise ops of two inputs with NumPy's broadcasting, and `where` of three: arithmetic, comparison, logic.
 * Integers divide towards zero; pow keeps the type of its base; comparisons give bool. Source: ONNX operators of these names.
 */
import { dispatch } from "../core/dispatch.js";
import { type DType, isFloat } from "../core/dtype.js";
import { expected, TensorError } from "../core/errors.js";
import type { Activation, LayoutRule, OpDef, TensorType } from "../core/op.js";
import { broadcastShapes, broadcastStrides, forEachIndex, sameShape } from "../core/shape.js";
import { numbersOf, Tensor, writeNumber } from "../core/tensor.js";
import { applyActivation, applyResidual } from "./epilogue.js";
import { broadcastTo, checkCount, checkSameDtype, checkShapeIs, isImage, sumTo } from "./shared.js";

export interface BinaryAttrs {
  readonly activation?: Activation;
  /** A last input, of the result's shape, is added before the activation. */
  readonly residual?: boolean;
  /** mod only: 1 keeps the sign of the dividend, as C's fmod; 0 that of the divisor. */
  readonly fmod?: number;
}

type Arithmetic = (a: number, b: number, attrs: BinaryAttrs) => number;

const arithmetic: Readonly<Record<string, Arithmetic>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  pow: (a, b) => a ** b,
  mod: (a, b, { fmod }) => (fmod ? a % b : a - b * Math.floor(a / b)),
  maximum: (a, b) => (Number.isNaN(a) ? a : Number.isNaN(b) ? b : a > b ? a : b),
  minimum: (a, b) => (Number.isNaN(a) ? a : Number.isNaN(b) ? b : a < b ? a : b),
  prelu: (x, slope) => (x < 0 ? slope * x : x),
};

/** How the result changes with each side. At a tie maximum and minimum share, as in PyTorch. */
const partials: Readonly<
  Record<string, (a: number, b: number, y: number) => readonly [number, number]>
> = {
  add: () => [1, 1],
  sub: () => [1, -1],
  mul: (a, b) => [b, a],
  div: (a, b) => [1 / b, -a / (b * b)],
  pow: (a, b, y) => [b === 0 ? 0 : b * a ** (b - 1), a > 0 ? y * Math.log(a) : 0],
  mod: (a, b) => [1, -Math.floor(a / b)],
  maximum: (a, b) => (a === b ? [0.5, 0.5] : a > b ? [1, 0] : [0, 1]),
  minimum: (a, b) => (a === b ? [0.5, 0.5] : a < b ? [1, 0] : [0, 1]),
  prelu: (x, slope) => (x > 0 ? [1, 0] : [slope, x]),
};

/** The same on 64-bit integers, exact beyond 2^53. Results wrap when stored. */
const arithmetic64: Readonly<Record<string, (a: bigint, b: bigint, attrs: BinaryAttrs) => bigint>> =
  {
    add: (a, b) => a + b,
    sub: (a, b) => a - b,
    mul: (a, b) => a * b,
    div: (a, b) => (b === 0n ? 0n : a / b),
    pow: (a, b) => (b < 0n ? BigInt(Math.trunc(Number(a) ** Number(b)) || 0) : a ** b),
    mod: (a, b, { fmod }) => (b === 0n ? 0n : fmod ? a % b : ((a % b) + b) % b),
    maximum: (a, b) => (a > b ? a : b),
    minimum: (a, b) => (a < b ? a : b),
    prelu: (x, slope) => (x < 0n ? slope * x : x),
  };

const comparisons: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  equal: (a, b) => a === b,
  greater: (a, b) => a > b,
  greaterOrEqual: (a, b) => a >= b,
  less: (a, b) => a < b,
  lessOrEqual: (a, b) => a <= b,
};

const logic: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  and: (a, b) => a !== 0 && b !== 0,
  or: (a, b) => a !== 0 || b !== 0,
  xor: (a, b) => (a !== 0) !== (b !== 0),
};

/** Calls visit(i, ia, ib) for every output element with the elements of a and b that meet there. */
function forEachPair(
  a: Tensor,
  b: Tensor,
  y: Tensor,
  visit: (i: number, ia: number, ib: number) => void,
): void {
  if (sameShape(a.shape, b.shape)) {
    for (let i = 0; i < y.size; i++) visit(i, i, i);
    return;
  }
  const sa = broadcastStrides(a.shape, y.shape);
  const sb = broadcastStrides(b.shape, y.shape);
  forEachIndex(y.shape, (index, i) => {
    let ia = 0;
    let ib = 0;
    for (let axis = 0; axis < index.length; axis++) {
      ia += index[axis] * sa[axis];
      ib += index[axis] * sb[axis];
    }
    visit(i, ia, ib);
  });
}

/** Blocked kernels take a full image, one value per channel or per pixel, or a scalar as the other side. */
function binaryLayout(inputs: readonly TensorType[]): LayoutRule {
  const images = inputs.filter(isImage);
  if (images.length === 0 || inputs.some((t) => t.dtype !== "float32")) return "plain";
  const [n, c, h, w] = broadcastShapes("layout", ...inputs.map((t) => t.shape));
  const fits = ({ shape }: TensorType) => {
    const [images, ...others] = [...new Array<number>(4 - shape.length).fill(1), ...shape];
    return (
      sameShape(shape, [n, c, h, w]) ||
      ((images === n || images === 1) && sameShape(others, [c, 1, 1])) ||
      (shape.length === 4 && (images === n || images === 1) && sameShape(others, [1, h, w])) ||
      shape.every((size) => size === 1)
    );
  };
  return inputs.every(fits) && inputs.some((t) => sameShape(t.shape, [n, c, h, w]))
    ? "follows"
    : "plain";
}

function defineArithmetic(name: string): OpDef<BinaryAttrs> {
  const f = arithmetic[name];
  const carries = ["add", "sub", "mul", "div"].includes(name);
  const epilogue = name === "mul" ? "residual" : carries ? "activation" : undefined;
  return {
    name,
    elementwise: true,
    epilogue,
    infer(inputs, { residual }) {
      checkCount(name, inputs, residual ? 3 : 2);
      const [a, b] = inputs;
      if (name !== "pow") checkSameDtype(name, inputs);
      if (a.dtype === "bool" || b.dtype === "bool")
        throw new TensorError(expected(name, "numbers", "bool"));
      const shape = broadcastShapes(name, a.shape, b.shape);
      if (residual) checkShapeIs(name, "residual", inputs[2], shape);
      return [{ dtype: a.dtype, shape }];
    },
    reference([a, b, residual], attrs, [y]) {
      if (a.dtype === "int64" && b.dtype === "int64") {
        const [da, db, f64] = [
          a.data as BigInt64Array,
          b.data as BigInt64Array,
          arithmetic64[name],
        ];
        forEachPair(a, b, y, (i, ia, ib) => {
          y.data[i] = f64(da[ia], db[ib], attrs);
        });
        return;
      }
      const [da, db] = [numbersOf(a), numbersOf(b)];
      const truncate = !isFloat(y.dtype);
      forEachPair(a, b, y, (i, ia, ib) => {
        const value = f(da[ia], db[ib], attrs);
        writeNumber(y, i, truncate ? Math.trunc(value) : value);
      });
      applyResidual(y, residual);
      applyActivation(y, attrs.activation);
    },
    gradient({ inputs: [a, b], outputs: [y], outputGradients: [dy] }) {
      const slopes = partials[name];
      const [da, db] = [a, b].map((t) => Tensor.zeros(t.shape, t.dtype));
      const [x1, x2, out, from] = [a, b, y, dy].map((t) => t.data as Float32Array);
      const [to1, to2] = [da.data as Float32Array, db.data as Float32Array];
      // Where a side repeats, its changes add up.
      forEachPair(a, b, y, (i, ia, ib) => {
        const [sa, sb] = slopes(x1[ia], x2[ib], out[i]);
        to1[ia] += from[i] * sa;
        to2[ib] += from[i] * sb;
      });
      return [da, db];
    },
    layout: binaryLayout,
  };
}

function defineTest(name: string, f: (a: number, b: number) => boolean, bools: boolean): OpDef {
  return {
    name,
    elementwise: true,
    infer(inputs) {
      checkCount(name, inputs, 2);
      checkSameDtype(name, inputs);
      if (bools && inputs[0].dtype !== "bool")
        throw new TensorError(expected(name, "bool tensors", inputs[0].dtype));
      return [{ dtype: "bool", shape: broadcastShapes(name, inputs[0].shape, inputs[1].shape) }];
    },
    reference([a, b], _attrs, [y]) {
      // Bigints compare among themselves exactly, so int64 needs no conversion.
      const [da, db] = a.dtype === "int64" ? [a.data, b.data] : [numbersOf(a), numbersOf(b)];
      forEachPair(a, b, y, (i, ia, ib) => {
        y.data[i] = f(da[ia] as number, db[ib] as number) ? 1 : 0;
      });
    },
  };
}

export const arithmeticOps: Readonly<Record<string, OpDef<BinaryAttrs>>> = Object.fromEntries(
  Object.keys(arithmetic).map((name) => [name, defineArithmetic(name)]),
);

export const comparisonOps: Readonly<Record<string, OpDef>> = Object.fromEntries([
  ...Object.entries(comparisons).map(([name, f]) => [name, defineTest(name, f, false)]),
  ...Object.entries(logic).map(([name, f]) => [name, defineTest(name, f, true)]),
]);

/** y = condition ? a : b, element by element, all three broadcast. */
export const whereOp: OpDef = {
  name: "where",
  elementwise: true,
  infer(inputs) {
    checkCount("where", inputs, 3);
    const [condition, a, b] = inputs;
    if (condition.dtype !== "bool")
      throw new TensorError(expected("where", "a bool condition", condition.dtype));
    checkSameDtype("where", [a, b]);
    return [
      {
        dtype: a.dtype as DType,
        shape: broadcastShapes("where", condition.shape, a.shape, b.shape),
      },
    ];
  },
  gradient({ inputs: [condition, a, b], outputGradients: [dy] }) {
    const mask = broadcastTo(condition, dy.shape);
    const masked = (keep: boolean, t: Tensor): Tensor => {
      const part = dy.clone();
      for (let i = 0; i < part.size; i++) if ((mask.data[i] !== 0) !== keep) part.data[i] = 0;
      return sumTo(part, t.shape);
    };
    return [undefined, masked(true, a), masked(false, b)];
  },
  reference([condition, a, b], _attrs, [y]) {
    const [sc, sa, sb] = [condition, a, b].map((t) => broadcastStrides(t.shape, y.shape));
    forEachIndex(y.shape, (index, i) => {
      const offset = (strides: number[]) =>
        index.reduce((sum, k, axis) => sum + k * strides[axis], 0);
      y.data[i] = condition.data[offset(sc)] ? a.data[offset(sa)] : b.data[offset(sb)];
    });
  },
};

const run = (name: string, a: Tensor, b: Tensor): Tensor =>
  dispatch(arithmeticOps[name], [a, b], {})[0];

/** a + b, broadcast. */
export const add = (a: Tensor, b: Tensor): Tensor => run("add", a, b);
/** a - b, broadcast. */
export const sub = (a: Tensor, b: Tensor): Tensor => run("sub", a, b);
/** a * b, broadcast. */
export const mul = (a: Tensor, b: Tensor): Tensor => run("mul", a, b);
/** a / b, broadcast; integers divide towards zero. */
export const div = (a: Tensor, b: Tensor): Tensor => run("div", a, b);
/** a to the power b, broadcast; the type is that of a. */
export const pow = (a: Tensor, b: Tensor): Tensor => run("pow", a, b);
/** The larger of a and b, broadcast; NaN wins. */
export const maximum = (a: Tensor, b: Tensor): Tensor => run("maximum", a, b);
/** The smaller of a and b, broadcast; NaN wins. */
export const minimum = (a: Tensor, b: Tensor): Tensor => run("minimum", a, b);
/** x where x >= 0, slope * x elsewhere; slope (C,) is per channel of x (N, C, ...). */
export const prelu = (x: Tensor, slope: Tensor): Tensor =>
  run(
    "prelu",
    x,
    slope.rank === 1 && x.rank > 2
      ? slope.reshape([slope.size, ...new Array<number>(x.rank - 2).fill(1)])
      : slope,
  );
/** condition ? a : b, broadcast. */
export const where = (condition: Tensor, a: Tensor, b: Tensor): Tensor =>
  dispatch(whereOp, [condition, a, b], {})[0];
