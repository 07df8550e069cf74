/** Operators that work element by element: activations, arithmetic, comparison, logic. Mostly a row each: ours by theirs. */
import type { DType } from "../../core/dtype.js";
import type { OpDef } from "../../core/op.js";
import { readNumber, Tensor } from "../../core/tensor.js";
import type { Value } from "../../graph/graph.js";
import { arithmeticOps, type BinaryAttrs, comparisonOps, whereOp } from "../../ops/binary.js";
import { castOp } from "../../ops/cast.js";
import { reshapeOp } from "../../ops/data.js";
import { predicateOps, type UnaryAttrs, unaryOps } from "../../ops/unary.js";
import type { Converter, NodeContext } from "../context.js";
import { dtypeOfElement } from "../tensors.js";

const unary =
  (name: string, attrs: (c: NodeContext) => UnaryAttrs = () => ({})): Converter =>
  (c) =>
    c.emit(unaryOps[name], [c.input(0)], attrs(c));

/** Before opset 7 the second operand was aligned by an attribute, not from the right. */
function aligned(c: NodeContext): [Value, Value] {
  const [a, b] = [c.input(0), c.input(1)];
  if (c.opset >= 7 || !c.has("axis") || b.type.shape.length === 0) return [a, b];
  const rank = a.type.shape.length;
  const axis = c.int("axis") < 0 ? c.int("axis") + rank : c.int("axis");
  const trailing = rank - axis - b.type.shape.length;
  if (trailing <= 0) return [a, b];
  return [
    a,
    c.emitOne(reshapeOp, [b], { shape: [...b.type.shape, ...new Array<number>(trailing).fill(1)] }),
  ];
}

const binary =
  (op: OpDef<BinaryAttrs>, attrs: (c: NodeContext) => BinaryAttrs = () => ({})): Converter =>
  (c) =>
    c.emit(op, aligned(c), attrs(c));

/** Any number of inputs, combined from the left. */
const folded =
  (op: OpDef<BinaryAttrs>): Converter =>
  (c) => {
    const [first, ...rest] = c.inputs();
    return [rest.reduce((sum, x) => c.emitOne(op, [sum, x], {}), first)];
  };

const mean: Converter = (c) => {
  const inputs = c.inputs();
  const [first, ...rest] = inputs;
  const sum = rest.reduce((total, x) => c.emitOne(arithmeticOps.add, [total, x], {}), first);
  const count = c.made([], () => Tensor.full([], inputs.length, first.type.dtype));
  return c.emit(arithmeticOps.div, [sum, count], {});
};

const clip: Converter = (c) => {
  const bound = (name: "min" | "max", i: number, open: number): number => {
    if (c.opset < 11) return c.float(name, open);
    const t = c.optionalConstant(i, name);
    return t === undefined ? open : readNumber(t, 0);
  };
  return c.emit(unaryOps.clip, [c.input(0)], {
    min: bound("min", 1, Number.NEGATIVE_INFINITY),
    max: bound("max", 2, Number.POSITIVE_INFINITY),
  });
};

/** One slope per channel is written (C,) or (C, 1, 1); what broadcasts already stays. */
const prelu: Converter = (c) => {
  const [x, slope] = [c.input(0), c.input(1)];
  const { shape } = slope.type;
  const rank = x.type.shape.length;
  const perChannel =
    shape.length === 1 &&
    rank > 2 &&
    shape[0] !== 1 &&
    (c.opset < 7 || shape[0] !== x.type.shape[rank - 1]);
  const fitted = perChannel
    ? c.emitOne(reshapeOp, [slope], { shape: [shape[0], ...new Array<number>(rank - 2).fill(1)] })
    : slope;
  return c.emit(arithmeticOps.prelu, [x, fitted], {});
};

const cast: Converter = (c) => {
  const names: Record<string, number> = {
    FLOAT: 1,
    UINT8: 2,
    INT8: 3,
    INT32: 6,
    INT64: 7,
    BOOL: 9,
    FLOAT16: 10,
    DOUBLE: 11,
  };
  const to = c.opset < 6 ? (names[c.string("to", "")] ?? 0) : c.int("to");
  return castTo(c, c.input(0), dtypeOfElement(to, `Cast ${c.place}`));
};

const castTo = (c: NodeContext, x: Value, to: DType): Value[] =>
  x.type.dtype === to ? [x] : c.emit(castOp, [x], { to });

const isInf: Converter = (c) => {
  if (c.int("detect_negative", 1) !== 1 || c.int("detect_positive", 1) !== 1)
    throw c.unsupported("for both signs", "one sign");
  return c.emit(predicateOps.isInf, [c.input(0)], {});
};

const gelu: Converter = (c) =>
  c.emit(unaryOps.gelu, [c.input(0)], {
    approximate: c.choice("approximate", "none", ["none", "tanh"]),
  });

const alpha = (fallback: number) => (c: NodeContext) => ({ alpha: c.float("alpha", fallback) });

export const elementwise: Readonly<Record<string, Converter>> = {
  Relu: unary("relu"),
  LeakyRelu: unary("leakyRelu", alpha(0.01)),
  Elu: unary("elu", alpha(1)),
  Selu: unary("selu", (c) => ({
    alpha: c.float("alpha", 1.6732632423543772),
    gamma: c.float("gamma", 1.0507009873554805),
  })),
  Celu: unary("celu", alpha(1)),
  Gelu: gelu,
  Sigmoid: unary("sigmoid"),
  HardSigmoid: unary("hardSigmoid", (c) => ({
    alpha: c.float("alpha", 0.2),
    beta: c.float("beta", 0.5),
  })),
  HardSwish: unary("hardSwish"),
  Swish: unary("silu", alpha(1)),
  Mish: unary("mish"),
  Softplus: unary("softplus"),
  Softsign: unary("softsign"),
  Tanh: unary("tanh"),
  ThresholdedRelu: unary("thresholdedRelu", alpha(1)),
  Shrink: unary("shrink", (c) => ({ bias: c.float("bias", 0), lambda: c.float("lambd", 0.5) })),
  Clip: clip,
  PRelu: prelu,
  ...Object.fromEntries(
    [
      "Erf",
      "Exp",
      "Log",
      "Sqrt",
      "Reciprocal",
      "Abs",
      "Neg",
      "Floor",
      "Ceil",
      "Round",
      "Sign",
      "Sin",
      "Cos",
      "Tan",
      "Asin",
      "Acos",
      "Atan",
      "Sinh",
      "Cosh",
      "Asinh",
      "Acosh",
      "Atanh",
    ].map((name) => [name, unary(name.toLowerCase())]),
  ),
  Not: (c) => c.emit(predicateOps.not, [c.input(0)], {}),
  IsNaN: (c) => c.emit(predicateOps.isNaN, [c.input(0)], {}),
  IsInf: isInf,
  Identity: (c) => [c.input(0)],
  Cast: cast,
  CastLike: (c) => castTo(c, c.input(0), c.input(1).type.dtype),
  Add: binary(arithmeticOps.add),
  Sub: binary(arithmeticOps.sub),
  Mul: binary(arithmeticOps.mul),
  Div: binary(arithmeticOps.div),
  Pow: binary(arithmeticOps.pow),
  Mod: binary(arithmeticOps.mod, (c) => ({ fmod: c.int("fmod", 0) })),
  Sum: folded(arithmeticOps.add),
  Max: folded(arithmeticOps.maximum),
  Min: folded(arithmeticOps.minimum),
  Mean: mean,
  Equal: (c) => c.emit(comparisonOps.equal, aligned(c), {}),
  Greater: (c) => c.emit(comparisonOps.greater, aligned(c), {}),
  GreaterOrEqual: (c) => c.emit(comparisonOps.greaterOrEqual, aligned(c), {}),
  Less: (c) => c.emit(comparisonOps.less, aligned(c), {}),
  LessOrEqual: (c) => c.emit(comparisonOps.lessOrEqual, aligned(c), {}),
  And: (c) => c.emit(comparisonOps.and, aligned(c), {}),
  Or: (c) => c.emit(comparisonOps.or, aligned(c), {}),
  Xor: (c) => c.emit(comparisonOps.xor, aligned(c), {}),
  Where: (c) => c.emit(whereOp, c.inputs(), {}),
};
