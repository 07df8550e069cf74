/** What gradients are tried on: awkward shapes and options for every op that has one, and for functions made of ops. */
import "../../src/backends/choose.js";
import { dispatch } from "../../src/core/dispatch.js";
import { Tensor } from "../../src/core/tensor.js";
import * as F from "../../src/functional.js";
import { ops } from "../../src/ops/index.js";
import { batchNormOp } from "../../src/ops/norm.js";

export interface GradientCase {
  readonly name: string;
  /** Ops whose gradients this tries. */
  readonly ops: readonly string[];
  readonly inputs: readonly (readonly number[])[];
  readonly run: (...t: Tensor[]) => Tensor;
  /** Numbers to start from; default normally distributed. */
  readonly fill?: (i: number, random: number) => number;
}

const positive = (_: number, random: number): number => 0.5 + Math.abs(random);
const call =
  (name: string, attrs: object = {}) =>
  (...inputs: Tensor[]): Tensor =>
    dispatch(ops.get(name) as NonNullable<ReturnType<typeof ops.get>>, inputs, attrs)[0];

const convCases = [
  [{}, [2, 3, 5, 6], [4, 3, 3, 3]],
  [{ stride: 2, padding: 1 }, [1, 2, 6, 7], [3, 2, 3, 3]],
  [{ stride: [2, 3], padding: [1, 0, 2, 1] }, [2, 2, 6, 8], [2, 2, 3, 2]],
  [{ dilation: 2, padding: 2 }, [1, 2, 6, 5], [2, 2, 3, 3]],
  [{ groups: 2, padding: 1 }, [1, 4, 4, 5], [6, 2, 3, 3]],
  [{ groups: 3, stride: 2 }, [2, 3, 5, 5], [3, 1, 2, 2]],
  [{ padding: "same" }, [1, 2, 4, 5], [2, 2, 4, 3]],
  [{ padding: 1, paddingMode: "reflect" }, [1, 2, 4, 4], [2, 2, 3, 3]],
  [{ padding: [1, 2], paddingMode: "replicate" }, [1, 1, 4, 4], [2, 1, 3, 3]],
  [{ padding: 2, paddingMode: "circular" }, [1, 2, 4, 4], [1, 2, 3, 3]],
  [{}, [2, 9, 4, 4], [17, 9, 1, 1]],
] as const;

export const cases: GradientCase[] = [
  ...convCases.map(([options, x, w]) => ({
    name: `conv2d ${JSON.stringify(options)} (${x}) by (${w})`,
    ops: ["conv2d", "pad", "conv2dInputGradient", "conv2dWeightGradient"],
    inputs: [x, w, [w[0]]],
    run: (a: Tensor, b: Tensor, bias: Tensor) =>
      F.conv2d(a, b, { ...(options as F.ConvOptions), bias }),
  })),
  {
    name: "conv1d",
    ops: ["conv2d"],
    inputs: [
      [2, 3, 7],
      [2, 3, 3],
    ],
    run: (x, w) => F.conv1d(x, w, { stride: 2, padding: 1 }),
  },
  ...[
    { stride: 2, padding: 1, outputPadding: 1 },
    { stride: [3, 2], dilation: 2 },
    { groups: 2, stride: 2 },
  ].map((options) => ({
    name: `convTranspose2d ${JSON.stringify(options)}`,
    ops: ["convTranspose2d"],
    inputs: [[2, 4, 3, 4], [4, 2, 3, 3], [options.groups === 2 ? 4 : 2]],
    run: (x: Tensor, w: Tensor, bias: Tensor) =>
      F.convTranspose2d(x, w, { ...options, bias } as F.ConvTransposeOptions),
  })),
  {
    name: "maxPool2d",
    ops: ["maxPool2d", "maxPool2dGradient"],
    inputs: [[2, 3, 6, 7]],
    run: (x) => F.maxPool2d(x, 3, { stride: 2, padding: 1 }),
  },
  {
    name: "maxPool2d ceil, dilated",
    ops: ["maxPool2d"],
    inputs: [[1, 2, 7, 8]],
    run: (x) => F.maxPool2d(x, 2, { dilation: 2, ceilMode: true }),
  },
  {
    name: "maxPool3d",
    ops: ["maxPool3d", "maxPool3dGradient"],
    inputs: [[1, 2, 4, 4, 5]],
    run: (x) => F.maxPool3d(x, 2),
  },
  ...[true, false].map((countIncludePad) => ({
    name: `avgPool2d countIncludePad ${countIncludePad}`,
    ops: ["avgPool2d", "avgPool2dGradient"],
    inputs: [[2, 3, 6, 7]],
    run: (x: Tensor) =>
      F.avgPool2d(x, [3, 2], { stride: 2, padding: 1, ceilMode: true, countIncludePad }),
  })),
  {
    name: "avgPool2d divisorOverride",
    ops: ["avgPool2d"],
    inputs: [[1, 2, 4, 4]],
    run: (x) => F.avgPool2d(x, 2, { divisorOverride: 3 }),
  },
  {
    name: "avgPool3d",
    ops: ["avgPool3d", "avgPool3dGradient"],
    inputs: [[1, 2, 4, 4, 5]],
    run: (x) => F.avgPool3d(x, 2),
  },
  { name: "globalAvgPool", ops: ["globalAvgPool"], inputs: [[2, 3, 3, 4]], run: F.globalAvgPool },
  { name: "globalMaxPool", ops: ["globalMaxPool"], inputs: [[2, 3, 3, 4]], run: F.globalMaxPool },
  {
    name: "adaptiveAvgPool2d",
    ops: ["adaptiveAvgPool2d"],
    inputs: [[2, 2, 5, 7]],
    run: (x) => F.adaptiveAvgPool2d(x, [3, 2]),
  },
  {
    name: "adaptiveMaxPool2d",
    ops: ["adaptiveMaxPool2d"],
    inputs: [[2, 2, 5, 7]],
    run: (x) => F.adaptiveMaxPool2d(x, [3, 2]),
  },
  {
    name: "linear",
    ops: ["linear"],
    inputs: [[2, 3, 5], [4, 5], [4]],
    run: (x, w, b) => F.linear(x, w, b),
  },
  {
    name: "matmul",
    ops: ["matmul"],
    inputs: [
      [2, 1, 3, 4],
      [3, 4, 5],
    ],
    run: F.matmul,
  },
  { name: "matmul of vectors", ops: ["matmul"], inputs: [[4], [2, 4, 3]], run: F.matmul },
  ...[true, false].map((transposed) => ({
    name: `gemm transposed ${transposed}`,
    ops: ["gemm"],
    inputs: transposed
      ? [[5, 3], [4, 5], [4]]
      : [
          [3, 5],
          [5, 4],
          [3, 1],
        ],
    run: call("gemm", { alpha: 0.5, beta: 2, transA: transposed, transB: transposed }),
  })),
  {
    name: "batchNorm",
    ops: ["batchNorm"],
    inputs: [[2, 3, 2, 2], [3], [3], [3], [3]],
    run: (...t) => dispatch(batchNormOp, t, { eps: 0.1 })[0],
    fill: positive,
  },
  {
    name: "batchNorm in training",
    ops: ["batchNormTraining"],
    inputs: [[3, 2, 2, 3], [2], [2]],
    run: (x, weight, bias) =>
      F.batchNorm(x, Tensor.zeros([2], x.dtype), Tensor.ones([2], x.dtype), {
        weight,
        bias,
        training: true,
      }),
  },
  ...["softmax", "logSoftmax"].flatMap((name) =>
    [0, 1, 2].map((axis) => ({
      name: `${name} along ${axis}`,
      ops: [name],
      inputs: [[2, 3, 4]],
      run: call(name, { axis }),
    })),
  ),
  ...[
    "reduceSum",
    "reduceMean",
    "reduceMax",
    "reduceMin",
    "reduceL1",
    "reduceL2",
    "reduceSumSquare",
    "reduceLogSum",
    "reduceLogSumExp",
  ].map((name, i) => ({
    name,
    ops: [name],
    inputs: [[2, 3, 4]],
    run: call(name, { axes: [[0], [1, 2], [2]][i % 3], keepDims: i % 2 === 0 }),
    fill: positive,
  })),
  ...["add", "sub", "mul", "div", "pow", "maximum", "minimum", "prelu", "mod"].flatMap((name) =>
    [
      [
        [2, 3],
        [2, 3],
      ],
      [
        [2, 3, 2],
        [3, 1],
      ],
      [
        [1, 3],
        [4, 1, 1],
      ],
    ].map((inputs) => ({
      name: `${name} ${inputs.join(" by ")}`,
      ops: [name],
      inputs,
      run: call(name),
      fill: name === "prelu" ? undefined : positive,
    })),
  ),
  {
    name: "where",
    ops: ["where"],
    inputs: [[2, 3], [3]],
    run: (a, b) => F.where(new Tensor(new Uint8Array([1, 0, 1, 0, 0, 1]), [2, 3], "bool"), a, b),
  },
  { name: "reshape", ops: ["reshape"], inputs: [[2, 6]], run: (x) => F.reshape(x, [3, 4]) },
  {
    name: "a view by reshape and at",
    ops: [],
    inputs: [[2, 6]],
    run: (x) =>
      F.mul(
        x.reshape([3, 4]).at(1),
        x.at(-1).reshape([6]).reshape([2, 3]).at(0).at(0).reshape([1]),
      ),
  },
  {
    name: "transpose",
    ops: ["transpose"],
    inputs: [[2, 3, 4]],
    run: (x) => F.permute(x, [2, 0, 1]),
  },
  {
    name: "concat, split",
    ops: ["concat", "split"],
    inputs: [
      [2, 3],
      [2, 4],
    ],
    run: (a, b) =>
      dispatch(ops.get("split") as never, [F.cat([a, b], 1)], { axis: 1, sizes: [5, 2] })[0],
  },
  {
    name: "slice",
    ops: ["slice"],
    inputs: [[4, 5]],
    run: call("slice", { starts: [3, 1], sizes: [2, 2], steps: [-1, 2] }),
  },
  ...["constant", "reflect", "edge", "wrap"].map((mode) => ({
    name: `pad ${mode}`,
    ops: ["pad"],
    inputs: [[3, 4]],
    run: call("pad", { pads: [1, 2, 2, -1], mode, value: 7 }),
  })),
  { name: "expand", ops: ["expand"], inputs: [[3, 1]], run: call("expand", { shape: [2, 3, 4] }) },
  { name: "tile", ops: ["tile"], inputs: [[2, 3]], run: call("tile", { repeats: [2, 3] }) },
  {
    name: "gather",
    ops: ["gather"],
    inputs: [[4, 3]],
    run: (x) => call("gather", { axis: 0 })(x, Tensor.from([3, 1, 3], "int32")),
  },
  {
    name: "gatherElements",
    ops: ["gatherElements"],
    inputs: [[2, 3]],
    run: (x) => call("gatherElements", { axis: 1 })(x, Tensor.from([[2], [0]], "int32")),
  },
  {
    name: "gatherNd",
    ops: ["gatherNd"],
    inputs: [[2, 3]],
    run: (x) =>
      call("gatherNd", { batchDims: 0 })(
        x,
        Tensor.from(
          [
            [1, 2],
            [1, 2],
          ],
          "int64",
        ),
      ),
  },
  {
    name: "depthToSpace",
    ops: ["depthToSpace"],
    inputs: [[1, 8, 2, 3]],
    run: call("depthToSpace", { blockSize: 2, mode: "CRD" }),
  },
  {
    name: "channelShuffle",
    ops: ["channelShuffle"],
    inputs: [[1, 6, 2, 3]],
    run: call("channelShuffle", { groups: 3 }),
  },
  {
    name: "spaceToDepth",
    ops: ["spaceToDepth"],
    inputs: [[1, 2, 4, 6]],
    run: call("spaceToDepth", { blockSize: 2 }),
  },
  {
    name: "mseLoss",
    ops: [],
    inputs: [
      [3, 4],
      [3, 4],
    ],
    run: (a, b) => F.mseLoss(a, b),
  },
  {
    name: "l1Loss",
    ops: [],
    inputs: [
      [3, 4],
      [3, 4],
    ],
    run: (a, b) => F.l1Loss(a, b, { reduction: "sum" }),
  },
  {
    name: "bceWithLogits",
    ops: [],
    inputs: [[3, 4]],
    run: (a) => F.bceWithLogits(a, Tensor.full([3, 4], 0.3, a.dtype)),
  },
  {
    name: "crossEntropy",
    ops: [],
    inputs: [[3, 4]],
    run: (a) => F.crossEntropy(a, Tensor.from([1, 3, 0], "int64"), { labelSmoothing: 0.1 }),
  },
  {
    name: "crossEntropy of images, one ignored",
    ops: [],
    inputs: [[2, 3, 2]],
    run: (a) =>
      F.crossEntropy(
        a,
        Tensor.from(
          [
            [1, -100],
            [0, 2],
          ],
          "int64",
        ),
      ),
  },
];

const unaryAttrs: Readonly<Record<string, object>> = {
  leakyRelu: { alpha: 0.1 },
  elu: { alpha: 1.5 },
  selu: { alpha: 1.67, gamma: 1.05 },
  celu: { alpha: 1.2 },
  hardSigmoid: { alpha: 0.2, beta: 0.5 },
  silu: { alpha: 1.3 },
  clip: { min: -0.5, max: 0.8 },
  thresholdedRelu: { alpha: 0.4 },
  shrink: { bias: 0.1, lambda: 0.3 },
};
const above1 = new Set(["acosh"]);
const within1 = new Set(["asin", "acos", "atanh"]);
for (const [name, op] of ops) {
  if (!op.elementwise || !op.gradient || cases.some((c) => c.ops.includes(name))) continue;
  const fill = above1.has(name)
    ? (i: number) => 1.2 + i / 10
    : within1.has(name)
      ? (i: number) => -0.9 + i / 10
      : ["log", "sqrt", "reciprocal"].includes(name)
        ? positive
        : undefined;
  cases.push({ name, ops: [name], inputs: [[3, 5]], run: call(name, unaryAttrs[name]), fill });
  if (name === "gelu")
    cases.push({
      name: "gelu tanh",
      ops: [name],
      inputs: [[3, 5]],
      run: call(name, { approximate: "tanh" }),
    });
}
