/**
 * Elementwise ops of one input: y[i] = f(x[i]). One row each: the formula, and what the parameters default to.
 * NaN in gives NaN out everywhere (also relu and clip, as in PyTorch). Sources: PyTorch's torch.nn.functional, ONNX operators
 * of the same names.
 */
import { dispatch } from "../core/dispatch.js";
import { type DType, isFloat, roundHalfEven } from "../core/dtype.js";
import { expected, TensorError } from "../core/errors.js";
import type { Activation, OpDef } from "../core/op.js";
import { numbersOf, Tensor, writeNumber } from "../core/tensor.js";
import { checkCount, followsOnImages } from "./shared.js";

/** Parameters of the formulas: alpha, beta, min, ... */
export type UnaryAttrs = Readonly<Record<string, number | string>>;
type Formula = (x: number, p: Record<string, number>) => number;

/** Error function, |error| < 1.2e-7 relative (Numerical Recipes' Chebyshev fit of erfc), refined near 0 by its series. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (a < 0.5) {
    let term = x;
    let sum = x;
    for (let n = 1; n < 20; n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  const t = 1 / (1 + a / 2);
  const c = [
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398,
    1.48851587, -0.82215223, 0.17087277,
  ];
  const poly = c.reduceRight((sum, k) => sum * t + k, 0);
  const tail = t * Math.exp(-a * a + poly);
  return x >= 0 ? 1 - tail : tail - 1;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const softplus = (x: number): number => (x > 20 ? x : Math.log1p(Math.exp(x)));
/** min(max(x, low), high), high wins where low > high (ONNX); NaN stays. */
const clip = (x: number, low: number, high: number): number => {
  const raised = x < low ? low : x;
  return raised > high ? high : raised;
};

/** The formulas by activation or op name. Parameters are in `p`; "gelu" has p.tanh = 1 for the tanh approximation. */
const formulas: Readonly<Record<string, Formula>> = {
  relu: (x) => (x < 0 ? 0 : x),
  leakyRelu: (x, p) => (x < 0 ? p.alpha * x : x),
  elu: (x, p) => (x < 0 ? p.alpha * Math.expm1(x) : x),
  selu: (x, p) => p.gamma * (x < 0 ? p.alpha * Math.expm1(x) : x),
  celu: (x, p) => (x < 0 ? p.alpha * Math.expm1(x / p.alpha) : x),
  gelu: (x, p) =>
    p.tanh
      ? 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
      : 0.5 * x * (1 + erf(x / Math.SQRT2)),
  sigmoid,
  hardSigmoid: (x, p) => clip(p.alpha * x + p.beta, 0, 1),
  hardSwish: (x) => x * clip(x / 6 + 0.5, 0, 1),
  silu: (x, p) => x * sigmoid(p.alpha * x),
  mish: (x) => x * Math.tanh(softplus(x)),
  softplus,
  softsign: (x) => x / (1 + Math.abs(x)),
  tanh: Math.tanh,
  clip: (x, p) => clip(x, p.min, p.max),
  thresholdedRelu: (x, p) => (Number.isNaN(x) ? x : x > p.alpha ? x : 0),
  shrink: (x, p) =>
    x < -p.lambda ? x + p.bias : x > p.lambda ? x - p.bias : Number.isNaN(x) ? x : 0,
  erf,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  reciprocal: (x) => 1 / x,
  abs: Math.abs,
  neg: (x) => -x,
  floor: Math.floor,
  ceil: Math.ceil,
  round: roundHalfEven,
  sign: Math.sign,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
  identity: (x) => x,
};

const normalDensity = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);

/** dy/dx at x, where y is the result; one-sided at corners as in PyTorch. Rounding functions and sign are flat. */
const derivatives: Readonly<
  Record<string, (x: number, y: number, p: Record<string, number>) => number>
> = {
  relu: (x) => (x > 0 ? 1 : 0),
  leakyRelu: (x, _, p) => (x > 0 ? 1 : p.alpha),
  elu: (x, _, p) => (x > 0 ? 1 : p.alpha * Math.exp(x)),
  selu: (x, _, p) => p.gamma * (x > 0 ? 1 : p.alpha * Math.exp(x)),
  celu: (x, _, p) => (x > 0 ? 1 : Math.exp(x / p.alpha)),
  gelu: (x, _, p) => {
    if (!p.tanh) return 0.5 * (1 + erf(x / Math.SQRT2)) + x * normalDensity(x);
    const t = Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3));
    const inner = Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x);
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner;
  },
  sigmoid: (_, y) => y * (1 - y),
  hardSigmoid: (x, _, p) => (p.alpha * x + p.beta > 0 && p.alpha * x + p.beta < 1 ? p.alpha : 0),
  hardSwish: (x) => (x < -3 ? 0 : x <= 3 ? x / 3 + 0.5 : 1),
  silu: (x, _, p) => {
    const s = sigmoid(p.alpha * x);
    return s + p.alpha * x * s * (1 - s);
  },
  mish: (x) => {
    const t = Math.tanh(softplus(x));
    return t + x * (1 - t * t) * sigmoid(x);
  },
  softplus: (x) => sigmoid(x),
  softsign: (x) => 1 / (1 + Math.abs(x)) ** 2,
  tanh: (_, y) => 1 - y * y,
  clip: (x, _, p) => (x >= p.min && x <= p.max ? 1 : 0),
  thresholdedRelu: (x, _, p) => (x > p.alpha ? 1 : 0),
  shrink: (x, _, p) => (Math.abs(x) > p.lambda ? 1 : 0),
  erf: (x) => (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x),
  exp: (_, y) => y,
  log: (x) => 1 / x,
  sqrt: (_, y) => 1 / (2 * y),
  reciprocal: (_, y) => -y * y,
  abs: (x) => Math.sign(x),
  neg: () => -1,
  floor: () => 0,
  ceil: () => 0,
  round: () => 0,
  sign: () => 0,
  sin: (x) => Math.cos(x),
  cos: (x) => -Math.sin(x),
  tan: (_, y) => 1 + y * y,
  asin: (x) => 1 / Math.sqrt(1 - x * x),
  acos: (x) => -1 / Math.sqrt(1 - x * x),
  atan: (x) => 1 / (1 + x * x),
  sinh: (x) => Math.cosh(x),
  cosh: (x) => Math.sinh(x),
  asinh: (x) => 1 / Math.sqrt(x * x + 1),
  acosh: (x) => 1 / Math.sqrt(x * x - 1),
  atanh: (x) => 1 / (1 - x * x),
  identity: () => 1,
};

/** Ops that integers may take too; the others are for floats. */
const forIntegers = new Set(["relu", "clip", "abs", "neg", "sign", "identity", "leakyRelu"]);

/** Activations that ops with an epilogue can apply themselves (see Activation). */
const fusable = new Set([
  "relu",
  "clip",
  "leakyRelu",
  "sigmoid",
  "hardSigmoid",
  "hardSwish",
  "silu",
  "tanh",
  "elu",
  "gelu",
  "softplus",
  "mish",
]);

/** The parameters as numbers for a formula. */
function parameters(attrs: UnaryAttrs): Record<string, number> {
  const p: Record<string, number> = {};
  for (const [name, value] of Object.entries(attrs)) if (typeof value === "number") p[name] = value;
  if (attrs.approximate === "tanh") p.tanh = 1;
  return p;
}

/** The function of one number that an activation means. */
export function activationFunction(
  activation: Exclude<Activation, { kind: "prelu" }>,
): (x: number) => number {
  const { kind, scale, shift, ...attrs } = activation;
  const formula = formulas[kind];
  const p = parameters(attrs as UnaryAttrs);
  if (scale === undefined && shift === undefined) return (x) => formula(x, p);
  return (x) => formula(x, p) * (scale ?? 1) + (shift ?? 0);
}

function defineUnary(name: string): OpDef<UnaryAttrs> {
  const formula = formulas[name];
  return {
    name,
    elementwise: true,
    infer(inputs) {
      checkCount(name, inputs, 1);
      const { dtype, shape } = inputs[0];
      if (
        name !== "identity" &&
        (dtype === "bool" || (!isFloat(dtype) && !forIntegers.has(name)))
      ) {
        throw new TensorError(
          expected(name, "a float tensor", dtype, 'cast it first: cast(x, "float32")'),
        );
      }
      return [{ dtype, shape }];
    },
    reference([x], attrs, [y]) {
      if (name === "identity") {
        y.data.set(x.data as never);
        return;
      }
      if (x.dtype === "int64") {
        referenceInt64(name, x.data as BigInt64Array, attrs, y.data as BigInt64Array);
        return;
      }
      const p = parameters(attrs);
      const from = numbersOf(x);
      const direct = y.dtype !== "float16";
      for (let i = 0; i < from.length; i++) {
        const value = formula(from[i], p);
        if (direct) y.data[i] = value;
        else writeNumber(y, i, value);
      }
    },
    gradient({ inputs: [x], attrs, outputs: [y], outputGradients: [dy] }) {
      const slope = derivatives[name];
      const p = parameters(attrs);
      const dx = Tensor.zeros(x.shape, x.dtype);
      const [to, from] = [dx.data as Float32Array, dy.data as Float32Array];
      const [input, output] = [x.data as Float32Array, y.data as Float32Array];
      if (name === "relu") for (let i = 0; i < to.length; i++) to[i] = input[i] > 0 ? from[i] : 0;
      else for (let i = 0; i < to.length; i++) to[i] = from[i] * slope(input[i], output[i], p);
      return [dx];
    },
    layout: followsOnImages,
    activation: (attrs) =>
      fusable.has(name) ? ({ kind: name, ...attrs } as Activation) : undefined,
  };
}

/** The few ops that 64-bit integers take, without a way through floats. */
function referenceInt64(name: string, x: BigInt64Array, attrs: UnaryAttrs, y: BigInt64Array): void {
  const low = bound(attrs.min, Number.NEGATIVE_INFINITY);
  const high = bound(attrs.max, Number.POSITIVE_INFINITY);
  for (let i = 0; i < x.length; i++) {
    const v = x[i];
    if (name === "neg") y[i] = -v;
    else if (name === "abs") y[i] = v < 0n ? -v : v;
    else if (name === "sign") y[i] = v > 0n ? 1n : v < 0n ? -1n : 0n;
    else if (name === "relu") y[i] = v < 0n ? 0n : v;
    else if (name === "leakyRelu")
      y[i] = v < 0n ? BigInt(Math.trunc(Number(v) * Number(attrs.alpha))) : v;
    else {
      const raised = v < low ? BigInt(low) : v;
      y[i] = raised > high ? BigInt(high) : raised;
    }
  }
}

const bound = (value: number | string | undefined, open: number): number =>
  typeof value === "number" ? value : open;

export const unaryOps: Readonly<Record<string, OpDef<UnaryAttrs>>> = Object.fromEntries(
  Object.keys(formulas).map((name) => [name, defineUnary(name)]),
);

/** y = f(x) for bool answers: not, isNaN, isInf. */
function definePredicate(
  name: string,
  from: (dtype: DType) => boolean,
  f: (x: number) => boolean,
): OpDef {
  return {
    name,
    elementwise: true,
    infer(inputs) {
      checkCount(name, inputs, 1);
      if (!from(inputs[0].dtype))
        throw new TensorError(
          expected(name, name === "not" ? "a bool tensor" : "a float tensor", inputs[0].dtype),
        );
      return [{ dtype: "bool", shape: inputs[0].shape }];
    },
    reference([x], _attrs, [y]) {
      const numbers = numbersOf(x);
      for (let i = 0; i < numbers.length; i++) y.data[i] = f(numbers[i]) ? 1 : 0;
    },
  };
}

export const predicateOps: Readonly<Record<string, OpDef>> = {
  not: definePredicate(
    "not",
    (d) => d === "bool",
    (x) => x === 0,
  ),
  isNaN: definePredicate("isNaN", isFloat, Number.isNaN),
  isInf: definePredicate("isInf", isFloat, (x) => Math.abs(x) === Number.POSITIVE_INFINITY),
};

const run = (name: string, x: Tensor, attrs: UnaryAttrs = {}): Tensor =>
  dispatch(unaryOps[name], [x], attrs)[0];

/** max(x, 0). NaN stays NaN. */
export const relu = (x: Tensor): Tensor => run("relu", x);
/** min(max(x, 0), 6). */
export const relu6 = (x: Tensor): Tensor => run("clip", x, { min: 0, max: 6 });
/** x where x >= 0, negativeSlope * x elsewhere; default slope 0.01. */
export const leakyRelu = (x: Tensor, negativeSlope = 0.01): Tensor =>
  run("leakyRelu", x, { alpha: negativeSlope });
/** x where x >= 0, alpha * (exp(x) - 1) elsewhere; default alpha 1. */
export const elu = (x: Tensor, alpha = 1): Tensor => run("elu", x, { alpha });
/** The scaled exponential linear unit, with the constants of Klambauer et al. 2017. */
export const selu = (x: Tensor): Tensor =>
  run("selu", x, { alpha: 1.6732632423543772, gamma: 1.0507009873554805 });
/** x where x >= 0, alpha * (exp(x / alpha) - 1) elsewhere. */
export const celu = (x: Tensor, alpha = 1): Tensor => run("celu", x, { alpha });
/** x * Phi(x), Phi the normal distribution's; `approximate: "tanh"` is the usual approximation. */
export const gelu = (x: Tensor, options: { approximate?: "none" | "tanh" } = {}): Tensor =>
  run("gelu", x, { approximate: options.approximate ?? "none" });
/** 1 / (1 + exp(-x)). */
export const sigmoidOf = (x: Tensor): Tensor => run("sigmoid", x);
/** min(max(x / 6 + 1 / 2, 0), 1). */
export const hardsigmoid = (x: Tensor): Tensor =>
  run("hardSigmoid", x, { alpha: 1 / 6, beta: 0.5 });
/** x * hardsigmoid(x). */
export const hardswish = (x: Tensor): Tensor => run("hardSwish", x);
/** x * sigmoid(x), also called swish. */
export const silu = (x: Tensor): Tensor => run("silu", x, { alpha: 1 });
/** x * tanh(softplus(x)). */
export const mish = (x: Tensor): Tensor => run("mish", x);
/** log(1 + exp(x)). */
export const softplusOf = (x: Tensor): Tensor => run("softplus", x);
/** x / (1 + |x|). */
export const softsign = (x: Tensor): Tensor => run("softsign", x);
/** Hyperbolic tangent. */
export const tanh = (x: Tensor): Tensor => run("tanh", x);
/** min(max(x, min), max); a bound left off is none. */
export const clamp = (
  x: Tensor,
  min = Number.NEGATIVE_INFINITY,
  max = Number.POSITIVE_INFINITY,
): Tensor => run("clip", x, { min, max });
export const exp = (x: Tensor): Tensor => run("exp", x);
export const log = (x: Tensor): Tensor => run("log", x);
export const sqrt = (x: Tensor): Tensor => run("sqrt", x);
export const abs = (x: Tensor): Tensor => run("abs", x);
export const neg = (x: Tensor): Tensor => run("neg", x);
