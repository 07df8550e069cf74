/**
 * Every op that has a native kernel, on small awkward shapes: eager, and compiled behind a 1x1 convolution that copies its input, so that the op
 * meets the blocked layout too. Each instruction set against the reference. The list test names an op that has a kernel but no case.
 */
import { describe, expect, it } from "vitest";
import { loadAddon } from "../src/backends/addon.js";
import { withBackend } from "../src/core/dispatch.js";
import type { DType } from "../src/core/dtype.js";
import { Tensor, writeNumber } from "../src/core/tensor.js";
import { Graph, type Value } from "../src/graph/graph.js";
import { optimize } from "../src/graph/passes/index.js";
import { makePlan } from "../src/graph/plan.js";
import { conv2dOp } from "../src/ops/conv2d.js";
import { ops } from "../src/ops/index.js";
import { native, nativeIsas, referenceBackend } from "./support/backends.js";
import { expectClose, magnitude } from "./support/compare.js";
import { runGraph } from "./support/graphs.js";
import { twice } from "./support/opCases.js";

interface Case {
  readonly inputs: readonly (readonly number[])[];
  readonly attrs?: object;
  /** Of the inputs; float32 where nothing is said. */
  readonly dtypes?: readonly (DType | undefined)[];
}

const image = [2, 9, 5, 7];
const window = { kernel: [3, 2], stride: [2, 1], padding: [1, 0, 1, 1], dilation: [1, 1] };
const conv = { stride: [1, 1], padding: [1, 1, 1, 1], dilation: [1, 1], groups: 1 };
const resize = { ...twice, sizes: [2, 9, 10, 14] };

/** An input, the sizes that it is brought to, and how. */
const resizes: [number[], number[], object?][] = [
  // Rows that fill groups of 8 pixels, and that do not; inputs of a group within 8, and not; to less.
  [
    [1, 3, 6, 19],
    [1, 3, 12, 38],
  ],
  [[1, 3, 6, 19], [1, 3, 5, 29], { coordinates: "align_corners" }],
  [[1, 9, 6, 19], [1, 9, 3, 9], { coordinates: "pytorch_half_pixel" }],
  [[1, 9, 8, 8], [1, 9, 8, 16], { coordinates: "asymmetric", nearest: "ceil" }],
  [[1, 2, 9, 20], [1, 2, 4, 7], { antialias: true }],
  [[1, 9, 6, 10], [1, 9, 4, 25], { antialias: true }],
  [[1, 9, 6, 10], [1, 9, 9, 15], { excludeOutside: true, cubicA: -0.5 }],
  [
    [2, 3, 11],
    [2, 3, 22],
  ],
  [
    [2, 2, 3, 4, 9],
    [2, 2, 3, 6, 18],
  ],
];

/** A pool of so many windows: those that overlap, that do not, that are one; more than there are pixels. */
const adaptive: Case[] = [
  [2, 3],
  [1, 1],
  [5, 7],
  [4, 1],
  [8, 9],
].flatMap((outputSize) => [
  { inputs: [image], attrs: { outputSize } },
  { inputs: [[1, 3, 20, 33]], attrs: { outputSize } },
]);

/** An op of one input, at every remainder of the vector length, and on images. */
const unary = (attrs: object = {}): Case[] =>
  [...[1, 3, 8, 17, 64, 131].map((n) => [n]), image, [1, 8, 3, 3]].map((shape) => ({
    inputs: [shape],
    attrs,
  }));

/** An op of two inputs under NumPy's broadcasting. */
const binary: Case[] = [
  [[17], [17]],
  [image, image],
  [image, [9, 1, 1]],
  [image, [1]],
  [[1], image],
  [image, [2, 9, 1, 1]],
  [image, [2, 1, 5, 7]],
  [image, [7]],
  [
    [4, 1, 5],
    [3, 1],
  ],
  [
    [1, 8, 4, 4],
    [1, 8, 1, 1],
  ],
].map((inputs) => ({ inputs }));

/** A normalisation with scale and bias per channel. */
const norm = (shape: readonly number[], channels: number, attrs: object = {}): Case => ({
  inputs: [shape, [channels], [channels]],
  attrs: { eps: 1e-3, ...attrs },
});

const bools: Case[] = binary.map(({ inputs }) => ({ inputs, dtypes: ["bool", "bool"] }));

const alongEach: Case[] = [[3, 17], image].flatMap((shape) =>
  shape.map((_, axis) => ({ inputs: [shape], attrs: { axis } })),
);

const reduction: Case[] = [[2, 3], [1], [0, 3]].flatMap((axes) =>
  [true, false].map((keepDims) => ({ inputs: [image], attrs: { axes, keepDims } })),
);

const extreme: Case[] = alongEach.map(({ inputs, attrs }) => ({
  inputs,
  attrs: { ...attrs, keepDims: true, selectLast: false },
}));

const cases: Readonly<Record<string, readonly Case[]>> = {
  conv2d: [{ inputs: [image, [5, 9, 3, 3], [5]], attrs: conv }],
  pointwiseDepthwise: [
    {
      inputs: [image, [12, 9, 1, 1], [12], [12, 1, 3, 3], [12]],
      attrs: { pointwise: { ...conv, padding: [0, 0, 0, 0] }, depthwise: { ...conv, groups: 12 } },
    },
  ],
  convTranspose2d: [
    { inputs: [image, [9, 4, 3, 3]], attrs: { ...conv, stride: [2, 2], outputPadding: [1, 0] } },
  ],
  conv2dInputGradient: [
    {
      inputs: [
        [2, 4, 5, 7],
        [4, 9, 3, 3],
      ],
      attrs: { ...conv, inputShape: image },
    },
    {
      inputs: [
        [2, 16, 3, 4],
        [16, 9, 3, 2],
      ],
      attrs: { ...conv, stride: [2, 2], padding: [1, 0, 1, 1], inputShape: [2, 9, 6, 7] },
    },
    {
      inputs: [
        [1, 16, 4, 4],
        [16, 8, 1, 1],
      ],
      attrs: {
        ...conv,
        stride: [3, 2],
        padding: [0, 0, 0, 0],
        groups: 2,
        inputShape: [1, 16, 11, 8],
      },
    },
  ],
  conv2dWeightGradient: [
    { inputs: [image, [2, 4, 5, 7]], attrs: { ...conv, weightShape: [4, 9, 3, 3] } },
    {
      inputs: [
        [2, 1, 9, 8],
        [2, 40, 5, 4],
      ],
      attrs: { ...conv, padding: [0, 0, 0, 0], weightShape: [40, 1, 5, 5] },
    },
    {
      inputs: [
        [2, 40, 6, 7],
        [2, 9, 3, 4],
      ],
      attrs: {
        ...conv,
        stride: [2, 2],
        dilation: [1, 2],
        padding: [1, 2, 0, 1],
        weightShape: [9, 40, 3, 2],
      },
    },
    {
      inputs: [
        [1, 6, 5, 5],
        [1, 6, 5, 5],
      ],
      attrs: { ...conv, groups: 6, weightShape: [6, 1, 3, 3] },
    },
    {
      inputs: [
        [2, 30, 3, 3],
        [2, 20, 3, 3],
      ],
      attrs: { ...conv, padding: [0, 0, 0, 0], weightShape: [20, 30, 1, 1] },
    },
  ],
  maxPool2dGradient: [true, false].map((ceilMode) => ({
    inputs: [image, [2, 9, 3, 6 + 1]],
    attrs: { ...window, padding: [1, 0, 1, 1], ceilMode, indices: "none" },
  })),
  avgPool2dGradient: [true, false].map((countIncludePad) => ({
    inputs: [[2, 9, 3, 7]],
    attrs: { ...window, ceilMode: true, countIncludePad, divisorOverride: 0, inputShape: image },
  })),
  maxPool2d: [
    { inputs: [image], attrs: { ...window, ceilMode: false, indices: "none" } },
    { inputs: [image], attrs: { ...window, ceilMode: true, indices: "none" } },
  ],
  avgPool2d: [true, false].map((countIncludePad) => ({
    inputs: [image],
    attrs: { ...window, ceilMode: true, countIncludePad, divisorOverride: 0 },
  })),
  globalAvgPool: unary().filter(({ inputs: [x] }) => x.length === 4),
  adaptiveAvgPool2d: adaptive,
  adaptiveMaxPool2d: adaptive,
  globalMaxPool: unary().filter(({ inputs: [x] }) => x.length === 4),
  linear: [
    { inputs: [[3, 19], [21, 19], [21]] },
    {
      inputs: [
        [2, 3, 8],
        [1, 8],
      ],
    },
    { inputs: [[19, 1024], [40, 1024], [40]] },
  ],
  matmul: [
    {
      inputs: [
        [4, 5],
        [5, 17],
      ],
    },
    {
      inputs: [
        [2, 4, 5],
        [5, 3],
      ],
    },
    {
      inputs: [
        [2, 1, 4, 5],
        [3, 5, 6],
      ],
    },
    { inputs: [[5], [5, 3]] },
    // Rows a multiple of 4 KB apart.
    {
      inputs: [
        [2, 5, 1024],
        [1, 1024, 40],
      ],
    },
    ...[0.25, -3, 1e-30].map((alpha) => ({
      inputs: [
        [3, 70, 24],
        [3, 24, 45],
      ],
      attrs: { alpha },
    })),
  ],
  gemm: [
    {
      inputs: [[5, 4], [17, 5], [17]],
      attrs: { alpha: 0.5, beta: 2, transA: true, transB: true },
    },
    {
      inputs: [
        [4, 5],
        [5, 3],
      ],
      attrs: { alpha: 1, beta: 1, transA: false, transB: false },
    },
  ],
  batchNorm: [{}, { activation: { kind: "sigmoid" } }].map((more) => ({
    inputs: [image, [9], [9], [9], [9]],
    attrs: { eps: 0.5, ...more },
  })),
  instanceNorm: [{}, { activation: { kind: "relu" } }, { activation: { kind: "sigmoid" } }].flatMap(
    (more) =>
      [image, [1, 17, 1, 2], [1, 24, 40, 41], [2, 3, 9]].map((shape) =>
        norm(shape, shape[1], more),
      ),
  ),
  groupNorm: [{}, { activation: { kind: "softplus" } }].flatMap((more) => [
    norm(image, 9, { groups: 3, ...more }),
    norm([1, 20, 9, 4], 20, { groups: 4, ...more }),
    norm([1, 24, 3, 3], 24, { groups: 1, ...more }),
  ]),
  channelNorm: [image, [1, 3, 11, 13], [1, 300, 4, 5], [2, 16, 100], [1, 8, 1, 1]].map((shape) =>
    norm(shape, shape[1]),
  ),
  layerNorm: [
    { inputs: [image, [7], [7]], attrs: { axis: 3, eps: 1e-3 } },
    { inputs: [image, [5, 7]], attrs: { axis: 2, eps: 1e-3 } },
    { inputs: [[5, 400], [400], [400]], attrs: { axis: 1, eps: 1e-3 } },
    { inputs: [[3, 17], [3, 17], [1]], attrs: { axis: 0, eps: 1e-3 } },
  ],
  localResponseNorm: [image, [2, 17, 9]].flatMap((shape) =>
    [
      { size: 5, alpha: 0.1, beta: 0.75, k: 1 },
      { size: 4, alpha: 0.5, beta: 0.5, k: 2 },
      { size: 20, alpha: 0.5, beta: 0.75, k: 2 },
    ].map((attrs) => ({ inputs: [shape], attrs })),
  ),
  softmax: [...alongEach, { inputs: [[3000, 2]], attrs: { axis: 1 } }],
  logSoftmax: [...alongEach, { inputs: [[3000, 2]], attrs: { axis: 1 } }],
  relu: unary(),
  clip: unary({ min: -1, max: 1.5 }),
  leakyRelu: unary({ alpha: 0.1 }),
  elu: unary({ alpha: 1.5 }),
  sigmoid: unary(),
  hardSigmoid: unary({ alpha: 0.2, beta: 0.5 }),
  hardSwish: unary(),
  silu: unary({ alpha: 1 }),
  mish: unary(),
  tanh: unary(),
  gelu: [...unary({ approximate: "none" }), ...unary({ approximate: "tanh" })],
  softplus: unary(),
  erf: unary(),
  exp: unary(),
  sqrt: unary(),
  reciprocal: unary(),
  abs: unary(),
  neg: unary(),
  floor: unary(),
  ceil: unary(),
  round: unary(),
  sign: unary(),
  log: unary(),
  sin: unary(),
  cos: unary(),
  tan: unary(),
  asin: unary(),
  acos: unary(),
  atan: unary(),
  sinh: unary(),
  cosh: unary(),
  asinh: unary(),
  acosh: unary(),
  atanh: unary(),
  softsign: unary(),
  selu: unary({ alpha: 1.67, gamma: 1.05 }),
  celu: unary({ alpha: 1.3 }),
  thresholdedRelu: unary({ alpha: 0.5 }),
  shrink: unary({ bias: 0.3, lambda: 0.5 }),
  isNaN: unary(),
  isInf: unary(),
  not: [[1], [131], image].map((shape) => ({ inputs: [shape], dtypes: ["bool"] })),
  cast: [...unary({ to: "int32" }), ...unary({ to: "bool" }), ...unary({ to: "float64" })],
  identity: unary(),
  add: binary,
  sub: binary,
  mul: [
    ...binary,
    ...[image, [2, 9, 1, 1], [1, 9, 1, 1], [9, 1, 1], [5, 7]].map((other) => ({
      inputs: [image, other, image],
      attrs: { residual: true, activation: { kind: "clip", min: 0, max: 1 } },
    })),
  ],
  div: binary,
  maximum: binary,
  minimum: binary,
  pow: binary,
  mod: [0, 1].flatMap((fmod) => binary.map(({ inputs }) => ({ inputs, attrs: { fmod } }))),
  equal: binary,
  greater: binary,
  greaterOrEqual: binary,
  less: binary,
  lessOrEqual: binary,
  and: bools,
  or: bools,
  xor: bools,
  where: binary.map(({ inputs: [a, b] }) => ({ inputs: [b, a, b], dtypes: ["bool"] })),
  prelu: [{ inputs: [image, [9, 1, 1]] }, { inputs: [image, [1]] }],
  reshape: [{ inputs: [image], attrs: { shape: [2, 315] } }],
  transpose: [
    { inputs: [image], attrs: { perm: [0, 2, 3, 1] } },
    { inputs: [[3, 4, 5]], attrs: { perm: [2, 0, 1] } },
    { inputs: [[2, 13, 3, 19]], attrs: { perm: [0, 2, 3, 1] } },
    { inputs: [[2, 4, 3, 600]], attrs: { perm: [3, 0, 2, 1] } },
    // Of windows, as attention within them takes images apart and puts them together: pairs, and several axes that run along the input.
    { inputs: [[11, 2, 16, 2]], attrs: { perm: [0, 2, 1, 3] } },
    { inputs: [[11, 3, 2, 2]], attrs: { perm: [2, 1, 0, 3] } },
    { inputs: [[1, 29, 50, 4]], attrs: { perm: [0, 3, 2, 1] } },
    { inputs: [[9, 7, 3, 5]], attrs: { perm: [2, 1, 3, 0] } },
    { inputs: [[2, 70, 3, 4, 36]], attrs: { perm: [2, 0, 3, 1, 4] } },
  ],
  channelShuffle: [
    { inputs: [image], attrs: { groups: 3 } },
    { inputs: [[2, 40, 3, 3]], attrs: { groups: 4 } },
  ],
  depthToSpace: ["DCR", "CRD"].map((mode) => ({
    inputs: [[2, 12, 3, 5]],
    attrs: { blockSize: 2, mode },
  })),
  spaceToDepth: ["DCR", "CRD"].map((mode) => ({
    inputs: [[2, 3, 4, 6]],
    attrs: { blockSize: 2, mode },
  })),
  expand: [
    { inputs: [[2, 9, 1, 1]], attrs: { shape: image } },
    { inputs: [[9, 1, 7]], attrs: { shape: image } },
  ],
  tile: [{ inputs: [image], attrs: { repeats: [1, 2, 1, 3] } }],
  gather: [[], [4], [2, 3]].flatMap((places) =>
    image.slice(1).map((_, k) => ({
      inputs: [image, places],
      attrs: { axis: 1 + k },
      dtypes: [undefined, "int64" as const],
    })),
  ),
  concat: [
    { inputs: [image, [2, 3, 5, 7], [2, 8, 5, 7]], attrs: { axis: 1 } },
    { inputs: [image, [2, 9, 1, 7]], attrs: { axis: 2 } },
  ],
  split: [
    { inputs: [image], attrs: { axis: 1, sizes: [4, 5] } },
    { inputs: [[1, 24, 3, 3]], attrs: { axis: 1, sizes: [8, 16] } },
    // Their product is no number of elements.
    { inputs: [[1, 1200, 1, 1]], attrs: { axis: 1, sizes: [300, 300, 300, 300] } },
  ],
  slice: [
    { inputs: [image], attrs: { starts: [0, 8, 1, 0], sizes: [2, 5, 2, 7], steps: [1, -1, 2, 1] } },
    { inputs: [image], attrs: { starts: [0, 8, 0, 0], sizes: [2, 4, 5, 7], steps: [1, -2, 1, 1] } },
  ],
  pad: [
    ...["constant", "reflect", "edge", "wrap"].map((mode) => ({
      inputs: [image],
      attrs: { pads: [0, 0, 1, 2, 0, 0, 2, -1], mode, value: 1.5 },
    })),
    { inputs: [image], attrs: { pads: [0, 0, 0, 0, 0, 9, 0, 0], mode: "constant", value: 0 } },
    { inputs: [image], attrs: { pads: [0, 0, 1, 0, 0, 0, 2, 3], mode: "constant", value: 2 } },
    { inputs: [image], attrs: { pads: [0, 0, 1, 0, 0, 4, 2, 3], mode: "constant", value: 0 } },
    { inputs: [image], attrs: { pads: [1, 0, 0, 0, 0, 0, 0, 1], mode: "constant", value: 2 } },
    { inputs: [image], attrs: { pads: [1, 0, 2, 2, 1, 0, 2, 2], mode: "wrap", value: 0 } },
  ],
  resize: ["nearest", "linear", "cubic"].flatMap((mode) => [
    { inputs: [image], attrs: { ...resize, mode } },
    ...resizes.map(([inputs, sizes, more]) => {
      const scales = sizes.map((size, axis) => size / inputs[axis]);
      return { inputs: [inputs], attrs: { ...resize, mode, sizes, scales, ...more } };
    }),
    {
      inputs: [image, resize.sizes],
      attrs: { ...resize, mode, residual: true, activation: { kind: "sigmoid" } },
    },
  ]),
  ...Object.fromEntries(
    ["Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"].map((kind) => [
      `reduce${kind}`,
      reduction,
    ]),
  ),
  reduceSum: [{ inputs: [image], attrs: { axes: [1, 2, 3], keepDims: false } }],
  argMax: extreme,
  argMin: extreme,
  reorder: [{ inputs: [image], attrs: { to: "plain" } }],
};

it("every op with a native kernel has cases", () => {
  expect(loadAddon().ops.filter((name) => cases[name] === undefined)).toEqual([]);
});

/** Positive enough for square roots and quotients, negative enough for the rest; infinities and NaN where the op is elementwise. */
function fill(
  name: string,
  shape: readonly number[],
  seed: number,
  dtype: DType = "float32",
): Tensor {
  const t = Tensor.randn(shape, { seed });
  if (dtype !== "float32") {
    const others = Tensor.zeros(shape, dtype);
    // Indices from the end, or half of them true.
    for (let i = 0; i < t.size; i++)
      writeNumber(others, i, dtype === "bool" ? (t.data[i] as number) > 0 : -1 - (i % 3));
    return others;
  }
  if (name === "sqrt" || name === "div" || name === "batchNorm")
    for (let i = 0; i < t.size; i++) t.data[i] = 0.5 + Math.abs(t.data[i] as number);
  return t;
}

const SPECIAL = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  0,
  -0,
  1e30,
  -1e30,
];

/** copies -> op: where the first input is an image, it comes from a convolution, and so in the blocked layout. */
function compiled(name: string, { inputs, attrs = {} }: Case, tensors: readonly Tensor[]): Graph {
  const graph = new Graph();
  const values: Value[] = inputs.map((shape, i) => {
    const value = graph.input(`x${i}`, { dtype: tensors[i].dtype, shape });
    const alone = !["concat", "mul", "resize"].includes(name) && binary !== cases[name];
    if (shape.length !== 4 || (i > 0 && alone) || value.type.dtype !== "float32") return value;
    const c = shape[1];
    const copy = Tensor.zeros([c, c, 1, 1]);
    for (let k = 0; k < c; k++) copy.data[k * c + k] = 1;
    const copyAttrs = { ...conv, padding: [0, 0, 0, 0] };
    return graph.add(conv2dOp, [value, graph.constant(copy, "copy")], copyAttrs)[0];
  });
  // What are weights in a network are constants here.
  const op = ops.get(name);
  if (!op) throw new Error(`no op ${name}`);
  const parameters = new Set(op.parameters?.(tensors, attrs) ?? []);
  const args = values.map((v, i) => (parameters.has(i) ? graph.constant(tensors[i], `w${i}`) : v));
  graph.outputs = graph.add(op, args, attrs).map((value, i) => ({ name: `y${i}`, value }));
  return graph;
}

for (const { isa, available } of nativeIsas()) {
  describe.skipIf(!available)(`native ${isa}`, () => {
    it.each(Object.keys(cases))("%s", (name) => {
      // A weight's gradient sums over all pixels, in float32 here, in float64 in the reference.
      const tolerance = { rtol: 2e-6, atol: name === "conv2dWeightGradient" ? 1e-5 : 2e-6 };
      const op = ops.get(name);
      if (!op) throw new Error(`no op ${name}`);
      for (const one of cases[name]) {
        const attrs = one.attrs ?? ({} as object);
        const full =
          /conv/.test(name) || name === "linear" ? { activation: undefined, ...attrs } : attrs;
        const tensors = one.inputs.map((shape, i) => fill(name, shape, i + 1, one.dtypes?.[i]));
        const outputs = () => op.infer(tensors, full).map((t) => Tensor.zeros(t.shape, t.dtype));
        const [want, got] = [outputs(), outputs()];
        op.reference(tensors, full, want);
        withBackend(native(isa, 1), () => native(isa, 1).run(op, tensors, full, got));
        for (const [i, t] of got.entries()) expectClose(t, want[i], tolerance, magnitude(want[i]));
        if (name === "reorder") continue; // the passes place it
        for (const optimized of [false, true]) {
          const graph = compiled(name, one, tensors);
          const expected = runGraph(graph, tensors).map((t) => t.clone());
          const backend = native(isa, 3);
          if (optimized) optimize(graph, backend.target);
          const program = backend.load(makePlan(graph));
          for (const [i, t] of program.run(tensors).entries())
            expectClose(t, expected[i], tolerance, magnitude(expected[i]));
          program.dispose();
        }
      }
    });

    it("NaN, infinities, zeros and huge numbers go through elementwise ops as in the reference", () => {
      for (const name of Object.keys(cases)) {
        const op = ops.get(name);
        if (!op?.elementwise) continue;
        const some = cases[name].filter((c) => c.inputs[0].length === 1 && !c.dtypes);
        for (const { inputs, attrs = {} } of some) {
          const tensors = inputs.map((shape, i) => {
            const t = fill(name, shape, i + 1);
            for (let k = 0; k < t.size; k++) t.data[k] = SPECIAL[(k + 3 * i) % SPECIAL.length];
            return t;
          });
          const outputs = () => op.infer(tensors, attrs).map((t) => Tensor.zeros(t.shape, t.dtype));
          const [want, got] = [outputs(), outputs()];
          referenceBackend.run(op, tensors, attrs, want);
          native(isa, 1).run(op, tensors, attrs, got);
          try {
            for (const [i, t] of got.entries()) expectClose(t, want[i], { rtol: 1e-5, atol: 1e-6 });
          } catch (error) {
            throw new Error(`${name} (${inputs}): ${(error as Error).message}`, { cause: error });
          }
        }
      }
    });
  });
}
