/** Which ONNX operator an op of ours is, and how its attributes are said there. To export one more op: a row here. */
import type { Activation } from "../../core/op.js";
import { Tensor } from "../../core/tensor.js";
import type { Node } from "../../graph/graph.js";

export type AttributeValue =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly floats: readonly number[] };

/** One ONNX node: its inputs are those of ours, in order, then constants made for it ("" leaves one off). */
export interface Exported {
  readonly opType: string;
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  /** Appended to the inputs. */
  readonly constants?: readonly (Tensor | "")[];
  /** The result is x times the operator's of (this number times x). */
  readonly gate?: number;
}

// biome-ignore lint/suspicious/noExplicitAny: each row knows the attributes of its op.
type Row = (attrs: any, node: Node) => Exported | undefined;

const float = (value: number): { float: number } => ({ float: value });
const int64s = (values: readonly number[]): Tensor =>
  new Tensor(BigInt64Array.from(values.map(BigInt)), [values.length]);
const floats = (values: readonly number[]): Tensor =>
  new Tensor(Float32Array.from(values), [values.length]);

interface WindowAttrs {
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
}
const window = ({ stride, padding, dilation }: WindowAttrs) => ({
  strides: stride,
  pads: padding,
  dilations: dilation,
});
const plain =
  (opType: string): Row =>
  () => ({ opType });
const withAlpha =
  (opType: string): Row =>
  ({ alpha }) => ({ opType, attributes: { alpha: float(alpha) } });
const conv =
  (opType: string): Row =>
  (attrs, { inputs }) => ({
    opType,
    attributes: {
      ...window(attrs),
      group: attrs.groups,
      kernel_shape: inputs[1].type.shape.slice(2),
      ...(attrs.outputPadding ? { output_padding: attrs.outputPadding } : {}),
    },
  });
const pool =
  (opType: string): Row =>
  (attrs) => {
    if (
      attrs.divisorOverride ||
      (attrs.indices && attrs.indices !== "none" && attrs.indices !== "tensor")
    )
      return undefined;
    return {
      opType,
      attributes: {
        ...window(attrs),
        kernel_shape: attrs.kernel,
        ceil_mode: attrs.ceilMode ? 1 : 0,
        ...(opType === "AveragePool" ? { count_include_pad: attrs.countIncludePad ? 1 : 0 } : {}),
        ...(opType === "LpPool" ? { p: attrs.p } : {}),
      },
    };
  };
const reduce =
  (opType: string): Row =>
  ({ axes, keepDims }) => ({
    opType,
    attributes: { keepdims: keepDims ? 1 : 0 },
    constants: [int64s(axes)],
  });
const alongAxis =
  (opType: string): Row =>
  ({ axis }) => ({ opType, attributes: { axis } });

const unaries =
  "Relu Sigmoid HardSwish Mish Softplus Softsign Tanh Erf Exp Log Sqrt Reciprocal Abs Neg Floor Ceil Round Sign Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Identity Not";
const binaries = {
  add: "Add",
  sub: "Sub",
  mul: "Mul",
  div: "Div",
  pow: "Pow",
  maximum: "Max",
  minimum: "Min",
  prelu: "PRelu",
};
const comparisons = {
  equal: "Equal",
  greater: "Greater",
  greaterOrEqual: "GreaterOrEqual",
  less: "Less",
  lessOrEqual: "LessOrEqual",
  and: "And",
  or: "Or",
  xor: "Xor",
  where: "Where",
};
const reductions = [
  "Sum",
  "Mean",
  "Max",
  "Min",
  "Prod",
  "L1",
  "L2",
  "SumSquare",
  "LogSum",
  "LogSumExp",
];
const lower = (name: string): string => name[0].toLowerCase() + name.slice(1);
const rows = (names: Readonly<Record<string, string>>): Record<string, Row> =>
  Object.fromEntries(Object.entries(names).map(([op, opType]) => [op, plain(opType)]));

/** By the name of our op. A row gives undefined where ONNX has no such attributes. Opset 20. */
export const exporters: Readonly<Record<string, Row>> = {
  ...Object.fromEntries(unaries.split(" ").map((name) => [lower(name), plain(name)])),
  isNaN: plain("IsNaN"),
  isInf: plain("IsInf"),
  ...rows(binaries),
  ...rows(comparisons),
  mod: ({ fmod }) => ({ opType: "Mod", attributes: { fmod: fmod ?? 0 } }),
  leakyRelu: withAlpha("LeakyRelu"),
  elu: withAlpha("Elu"),
  celu: withAlpha("Celu"),
  thresholdedRelu: withAlpha("ThresholdedRelu"),
  selu: ({ alpha, gamma }) => ({
    opType: "Selu",
    attributes: { alpha: float(alpha), gamma: float(gamma) },
  }),
  silu: ({ alpha }) => ({ opType: "Sigmoid", gate: alpha }),
  hardSigmoid: ({ alpha, beta }) => ({
    opType: "HardSigmoid",
    attributes: { alpha: float(alpha), beta: float(beta) },
  }),
  shrink: ({ bias, lambda }) => ({
    opType: "Shrink",
    attributes: { bias: float(bias), lambd: float(lambda) },
  }),
  gelu: ({ approximate }) => ({
    opType: "Gelu",
    attributes: { approximate: approximate ?? "none" },
  }),
  clip: ({ min, max }) => ({
    opType: "Clip",
    constants: [min, max].map((limit) => (Number.isFinite(limit) ? Tensor.full([], limit) : "")),
  }),
  conv2d: conv("Conv"),
  conv3d: conv("Conv"),
  convTranspose2d: conv("ConvTranspose"),
  convTranspose3d: conv("ConvTranspose"),
  maxPool2d: pool("MaxPool"),
  maxPool3d: pool("MaxPool"),
  avgPool2d: pool("AveragePool"),
  avgPool3d: pool("AveragePool"),
  lpPool2d: pool("LpPool"),
  lpPool3d: pool("LpPool"),
  globalAvgPool: plain("GlobalAveragePool"),
  globalMaxPool: plain("GlobalMaxPool"),
  // ONNX has no adaptive pools; one window for all is a global one, and sizes that divide are plain ones.
  adaptiveAvgPool2d: (attrs, node) => adaptive("Average", attrs, node),
  adaptiveMaxPool2d: (attrs, node) => adaptive("Max", attrs, node),
  linear: (_attrs, { inputs }) =>
    inputs[0].type.shape.length === 2 ? { opType: "Gemm", attributes: { transB: 1 } } : undefined,
  matmul: plain("MatMul"),
  gemm: ({ alpha, beta, transA, transB }) => ({
    opType: "Gemm",
    attributes: {
      alpha: float(alpha),
      beta: float(beta),
      transA: transA ? 1 : 0,
      transB: transB ? 1 : 0,
    },
  }),
  batchNorm: ({ eps }) => ({ opType: "BatchNormalization", attributes: { epsilon: float(eps) } }),
  instanceNorm: ({ eps }) => ({
    opType: "InstanceNormalization",
    attributes: { epsilon: float(eps) },
  }),
  layerNorm: ({ axis, eps }) => ({
    opType: "LayerNormalization",
    attributes: { axis, epsilon: float(eps) },
  }),
  localResponseNorm: ({ size, alpha, beta, k }) => ({
    opType: "LRN",
    attributes: { size, alpha: float(alpha), beta: float(beta), bias: float(k) },
  }),
  lpNormalize: ({ p, axis }) => ({ opType: "LpNormalization", attributes: { p, axis } }),
  meanVarianceNorm: ({ axes }) => ({ opType: "MeanVarianceNormalization", attributes: { axes } }),
  softmax: alongAxis("Softmax"),
  logSoftmax: alongAxis("LogSoftmax"),
  hardmax: alongAxis("Hardmax"),
  reshape: ({ shape }) => ({ opType: "Reshape", constants: [int64s(shape)] }),
  transpose: ({ perm }) => ({ opType: "Transpose", attributes: { perm } }),
  concat: alongAxis("Concat"),
  split: ({ axis, sizes }) => ({
    opType: "Split",
    attributes: { axis },
    constants: [int64s(sizes)],
  }),
  slice: ({ starts, sizes, steps }) => {
    // An end before the first element is said by a number that is far below any.
    const ends = starts.map((start: number, a: number) =>
      start + sizes[a] * steps[a] < 0 ? -(2 ** 31) : start + sizes[a] * steps[a],
    );
    const axes = starts.map((_: number, a: number) => a);
    return {
      opType: "Slice",
      constants: [int64s(starts), int64s(ends), int64s(axes), int64s(steps)],
    };
  },
  expand: ({ shape }) => ({ opType: "Expand", constants: [int64s(shape)] }),
  tile: ({ repeats }) => ({ opType: "Tile", constants: [int64s(repeats)] }),
  gather: alongAxis("Gather"),
  gatherElements: alongAxis("GatherElements"),
  gatherNd: ({ batchDims }) => ({ opType: "GatherND", attributes: { batch_dims: batchDims } }),
  depthToSpace: ({ blockSize, mode }) => ({
    opType: "DepthToSpace",
    attributes: { blocksize: blockSize, mode },
  }),
  spaceToDepth: ({ blockSize }) => ({
    opType: "SpaceToDepth",
    attributes: { blocksize: blockSize },
  }),
  pad: ({ pads, mode, value }) => ({
    opType: "Pad",
    attributes: { mode },
    constants: [int64s(pads), Tensor.full([], value)],
  }),
  resize: (a) =>
    a.roi.length > 0
      ? undefined
      : {
          opType: "Resize",
          attributes: {
            mode: a.mode,
            coordinate_transformation_mode: a.coordinates,
            nearest_mode: a.nearest,
            cubic_coeff_a: float(a.cubicA),
            exclude_outside: a.excludeOutside ? 1 : 0,
            antialias: a.antialias ? 1 : 0,
          },
          constants: ["", floats(a.scales)],
        },
  ...Object.fromEntries(reductions.map((name) => [`reduce${name}`, reduce(`Reduce${name}`)])),
  argMax: ({ axis, keepDims, selectLast }) => ({
    opType: "ArgMax",
    attributes: { axis, keepdims: keepDims ? 1 : 0, select_last_index: selectLast ? 1 : 0 },
  }),
  argMin: ({ axis, keepDims, selectLast }) => ({
    opType: "ArgMin",
    attributes: { axis, keepdims: keepDims ? 1 : 0, select_last_index: selectLast ? 1 : 0 },
  }),
  topK: ({ axis, k, largest, sorted }) => ({
    opType: "TopK",
    attributes: { axis, largest: largest ? 1 : 0, sorted: sorted ? 1 : 0 },
    constants: [int64s([k])],
  }),
  quantizeLinear: ({ axis }) => ({ opType: "QuantizeLinear", attributes: { axis } }),
  dequantizeLinear: ({ axis }) => ({ opType: "DequantizeLinear", attributes: { axis } }),
};

function adaptive(
  kind: "Average" | "Max",
  { outputSize }: { outputSize: readonly number[] },
  { inputs }: Node,
): Exported | undefined {
  if (outputSize.every((n) => n === 1)) return { opType: `Global${kind}Pool` };
  const spatial = inputs[0].type.shape.slice(2);
  if (spatial.some((size, a) => size % outputSize[a] !== 0)) return undefined;
  const kernel = spatial.map((size, a) => size / outputSize[a]);
  return { opType: `${kind}Pool`, attributes: { kernel_shape: kernel, strides: kernel } };
}

/** The op and attributes that an activation attribute stands for. */
export const activationNode = ({ kind, ...attrs }: Activation): { op: string; attrs: object } => ({
  op: kind,
  attrs,
});
