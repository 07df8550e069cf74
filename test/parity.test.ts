/**
 * Tables: convolutions and pools of awkward shapes, every instruction set against the reference, eager and compiled, for 1 and 3 threads; and the
 * layers that the benchmarks time.
 */
import { describe, expect, it } from "vitest";
import { compile } from "../src/compile.js";
import { withBackend } from "../src/core/dispatch.js";
import { Tensor } from "../src/core/tensor.js";
import * as F from "../src/functional.js";
import "../src/backends/choose.js";
import { native, nativeIsas, referenceBackend } from "./support/backends.js";
import { expectClose, magnitude } from "./support/compare.js";
import { layers, makeLayer, pickChannels } from "./support/layers.js";

/** Small integers: float sums of them are exact, so all backends must agree to the bit. */
function integers(shape: readonly number[], seed: number): Tensor {
  const t = Tensor.rand(shape, { seed });
  for (let i = 0; i < t.size; i++) t.data[i] = Math.floor((t.data[i] as number) * 9) - 4;
  return t;
}

interface Case {
  readonly name: string;
  readonly inputs: readonly (readonly number[])[];
  readonly run: (...t: Tensor[]) => Tensor;
  /** The result is a sum of products of integers. */
  readonly exact: boolean;
  /** Errors are relative to the largest result: a transform mixes neighbours. */
  readonly mixes?: boolean;
}

const conv = (x: number[], w: number[], options: F.ConvOptions): Case => ({
  name: `conv2d (${x}) by (${w}) ${JSON.stringify(options)}`,
  inputs: [x, w, [w[0]]],
  run: (a, b, bias) => F.conv2d(a, b, { ...options, bias }),
  exact: true,
});

const convs: Case[] = [];
for (const cin of [1, 3, 7, 8, 9, 17]) {
  for (const cout of [1, 8, 15, 33, 40])
    convs.push(conv([1, cin, 4, 7], [cout, cin, 3, 3], { padding: 1 }));
}
for (const width of [1, 2, 5, 6, 7, 13, 14, 15, 29])
  convs.push(
    conv([2, 8, 3, width], [16, 8, 1, 1], {}),
    conv([1, 4, 4, width], [9, 4, 3, 1], { padding: [1, 0] }),
  );
convs.push(
  conv([1, 16, 9, 11], [32, 16, 3, 3], { stride: 2, padding: [1, 0, 2, 1] }),
  conv([1, 12, 9, 11], [20, 12, 3, 3], { stride: 3, dilation: 2, padding: 3 }),
  conv([1, 3, 17, 19], [24, 3, 7, 7], { stride: 2, padding: 3 }),
  conv([1, 16, 4, 8], [32, 8, 3, 3], { groups: 2, padding: 1 }),
  conv([2, 12, 7, 7], [18, 4, 3, 3], { groups: 3, padding: 1 }),
  conv([1, 32, 6, 6], [64, 4, 1, 1], { groups: 8 }),
  conv([1, 19, 9, 10], [19, 1, 3, 3], { groups: 19, padding: 1 }),
  conv([1, 16, 9, 10], [16, 1, 5, 5], { groups: 16, padding: 2, stride: 2 }),
  conv([1, 5, 9, 10], [15, 1, 3, 3], { groups: 5, padding: 1 }),
  conv([1, 32, 9, 10], [32, 4, 3, 3], { groups: 8, padding: 1 }),
  conv([1, 24, 9, 10], [24, 8, 3, 3], { groups: 3, padding: 1, stride: 2 }),
  conv([2, 18, 7, 9], [36, 2, 5, 5], { groups: 9, padding: 2 }),
  conv([1, 12, 9, 10], [12, 2, 3, 3], { groups: 6, padding: 2, dilation: 2 }),
  conv([1, 20, 12, 11], [20, 1, 3, 3], { groups: 20, padding: 2, dilation: 2, stride: 3 }),
  conv([1, 24, 13, 15], [24, 1, 7, 7], { groups: 24, padding: 3 }),
  conv([1, 24, 13, 15], [24, 1, 1, 9], { groups: 24, padding: [0, 4] }),
  conv([1, 8, 3, 3], [8, 8, 3, 3], {}),
  conv([1, 16, 9, 11], [88, 16, 1, 1], {}),
  conv([1, 16, 9, 11], [88, 16, 3, 3], { stride: 2, padding: 1 }),
);
// Small plain images, read in place or, with padding, as copies: lanes along pixels, or along outputs.
convs.push(
  conv([1, 1, 32, 32], [6, 1, 5, 5], {}),
  conv([2, 3, 18, 33], [8, 3, 3, 3], {}),
  conv([1, 2, 13, 40], [1, 2, 5, 5], {}),
  conv([1, 2, 9, 11], [3, 2, 3, 3], {}),
  conv([1, 6, 14, 14], [16, 6, 5, 5], {}),
  conv([2, 6, 14, 14], [16, 6, 5, 5], { padding: 2 }),
  conv([2, 5, 9, 18], [11, 5, 3, 3], {}),
  conv([1, 7, 20, 19], [24, 7, 3, 3], { dilation: 2 }),
  conv([1, 6, 15, 14], [16, 6, 3, 3], { stride: 2 }),
);
/** What runs on plain images as well: alone it does, before an op that prefers blocks it runs in them. */
const thin: Case[] = [
  conv([1, 3, 17, 19], [24, 3, 3, 3], { stride: 2, padding: 1 }),
  conv([2, 4, 18, 33], [13, 4, 5, 5], { stride: [1, 2], padding: 2 }),
  conv([1, 1, 20, 70], [5, 1, 3, 3], { stride: 3, padding: [1, 0, 2, 1] }),
  conv([1, 3, 9, 40], [8, 3, 3, 3], { stride: 2, padding: 2, dilation: 2 }),
  conv([1, 2, 12, 5], [7, 2, 3, 3], { stride: 2, padding: 1 }),
  conv([1, 3, 30, 31], [9, 3, 2, 2], { stride: [2, 4] }),
  conv([2, 32, 9, 21], [32, 4, 3, 3], { groups: 8, padding: 1 }),
  conv([1, 24, 19, 20], [24, 8, 3, 3], { groups: 3, padding: 1, stride: 2 }),
  conv([1, 12, 9, 34], [12, 2, 3, 3], { groups: 6, padding: 2, dilation: 2 }),
  conv([1, 16, 11, 9], [32, 4, 5, 5], { groups: 4, padding: 2, stride: 2 }),
  ...[8, 9, 15, 16, 17, 25, 31, 33, 47, 65, 96].map((width, i) =>
    conv([1, 9 + i, 2, width], [[1, 2, 3, 5, 6, 7, 13, 14, 15, 29, 30][i], 9 + i, 1, 1], {}),
  ),
  conv([2, 64, 30, 31], [70, 64, 1, 1], {}),
  conv([1, 300, 13, 13], [50, 300, 1, 1], {}),
  conv([1, 108, 14, 15], [500, 108, 1, 1], {}),
  conv([9, 20, 6, 7], [24, 20, 1, 1], {}),
];
const inBlocks = ({ name, inputs: [x, w, bias], run }: Case): Case => {
  const halving = integers([8, w[0], 2, 2], 9);
  return {
    name: `in blocks: ${name}`,
    inputs: [x, w, bias],
    run: (...tensors) => F.conv2d(run(...tensors), halving, { stride: 2 }),
    exact: true,
    mixes: true,
  };
};
/** Filters into one channel: rows are read where they are inside the image, copied at its edges; the last tile of a row lies over the one before. */
const filter = (x: number[], kernel: number[], options: F.ConvOptions): Case => ({
  ...conv(x, [1, x[1], ...kernel], options),
  run: (a, b, bias) => F.leakyRelu(F.conv2d(a, b, { ...options, bias }), 0.5),
});
for (const width of [1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 130, 200])
  convs.push(filter([1, 1, 21, width], [3, 3], { padding: 1 }));
for (const kernel of [2, 4, 5, 6, 7, 8, 9, 11])
  convs.push(filter([1, 1, 30, 150], [kernel, kernel], { padding: kernel >> 1 }));
convs.push(
  filter([2, 2, 29, 100], [3, 3], { padding: 1 }),
  filter([1, 3, 19, 90], [5, 2], { padding: [2, 0, 1, 3] }),
  filter([1, 1, 26, 100], [3, 5], { padding: [1, 6], dilation: [1, 3] }),
  filter([1, 1, 26, 40], [3, 3], { padding: 2, dilation: 2 }),
  // Larger than the image, and padding that whole tiles lie in.
  filter([1, 1, 2, 3], [7, 7], { padding: [5, 30] }),
  filter([1, 1, 5, 9], [3, 3], { padding: [20, 150] }),
  filter([1, 1, 20, 150], [1, 7], { padding: [0, 3] }),
);
/** Depthwise on planes as they are: strips of every width, windows that reach out on every side, every activation. */
const strips: Case[] = Array.from({ length: 40 }, (_, i) => {
  const [kernel, stride, dilation] = [
    [3, 1, 1],
    [3, 2, 1],
    [5, 1, 1],
    [5, 2, 1],
    [7, 1, 1],
    [3, 3, 1],
    [3, 1, 2],
  ][i % 7];
  const padding = [i % 4, (i + 1) % 4, kernel * dilation, kernel * dilation - (i % 2)];
  const options = { groups: 19, stride, padding, dilation };
  return conv([1 + (i % 2), 19, 4 + (i % 5), i + 1], [19, 1, kernel, kernel], options);
});
for (const activation of [
  F.relu,
  F.relu6,
  F.leakyRelu,
  F.sigmoid,
  F.hardsigmoid,
  F.hardswish,
  F.silu,
  F.tanh,
  F.elu,
  F.mish,
  F.gelu,
  F.softplus,
])
  strips.push({
    name: `depthwise conv2d, then ${activation.name}`,
    inputs: [
      [1, 17, 9, 21],
      [17, 1, 3, 3],
    ],
    run: (x, w) => activation(F.conv2d(x, w, { groups: 17, padding: 1 })),
    exact: false,
  });
/** Sizes at and around those of Winograd's tiles and blocks. Its transforms round, so integers do not come out exactly. */
const winograd: Case[] = [
  [
    [1, 8, 10, 10],
    [8, 8],
  ],
  [
    [2, 16, 11, 13],
    [24, 16],
  ],
  [
    [1, 9, 14, 14],
    [33, 9],
  ],
  [
    [1, 40, 29, 17],
    [20, 40],
  ],
  [
    [1, 8, 5, 9],
    [16, 8],
  ],
].flatMap(([x, [cout, cin]]) =>
  [1, [0, 2]].map((padding) => ({
    ...conv(x, [cout, cin, 3, 3], { padding }),
    exact: false,
    mixes: true,
  })),
);
for (const [x, kernel, options] of [
  [[1, 16, 9, 13], [5, 5], { padding: 2 }],
  [[2, 9, 6, 5], [5, 5], { padding: [2, 3] }],
  [[1, 16, 13, 4], [7, 1], { padding: [3, 0] }],
  [[1, 16, 3, 11], [1, 7], { padding: [0, 2] }],
  [[1, 12, 11, 3], [5, 1], { padding: [1, 0] }],
  [[1, 12, 2, 12], [1, 5], {}],
  [[1, 8, 5, 40], [1, 7], { padding: [0, 3], paddingMode: "reflect" }],
  [[1, 8, 11, 5], [3, 1], { padding: [1, 0] }],
  [[1, 8, 5, 23], [1, 3], { dilation: 2, padding: [0, 2] }],
  [[1, 16, 23, 21], [3, 3], { dilation: 2, padding: 2 }],
  [[1, 8, 17, 16], [3, 3], { dilation: 3, padding: 1 }],
  [[2, 32, 14, 13], [3, 3], { padding: 1, groups: 2 }],
  [[1, 48, 9, 11], [5, 5], { padding: 2, groups: 3 }],
  [[1, 8, 11, 13], [5, 5], { dilation: 2, padding: 4 }],
  [[1, 40, 20, 31], [2, 2], {}],
  [[1, 9, 15, 21], [4, 4], { padding: [1, 2] }],
  [[1, 40, 23, 24], [3, 3], { stride: 2, padding: 1 }],
  [[2, 33, 20, 21], [3, 3], { stride: 2, padding: [0, 1, 2, 0] }],
  [[2, 80, 32, 31], [3, 3], { stride: 2, padding: 1, groups: 2 }],
  [[1, 16, 22, 18], [4, 4], { stride: 2, padding: 1 }],
  [[1, 12, 21, 24], [5, 5], { stride: 2, padding: 2 }],
  [[1, 8, 27, 13], [5, 3], { stride: [2, 1], padding: [2, 1] }],
  [[1, 40, 37, 5], [5, 1], { stride: [2, 1] }],
  [[1, 3, 33, 30], [6, 6], { stride: 2, padding: 2 }],
  [[2, 3, 40, 37], [7, 7], { stride: 2, padding: 3 }],
  [[1, 9, 26, 25], [7, 7], { stride: 3, padding: 3 }],
  [[1, 3, 47, 45], [11, 11], { stride: 4, padding: 2 }],
  ...[8, 9, 17].map((cin) => [[1, cin, 6, 7], [3, 3], { padding: 1 }] as const),
] as const)
  winograd.push({
    ...conv(
      [...x],
      [
        "groups" in options ? 24 * options.groups : 20,
        x[1] / ("groups" in options ? options.groups : 1),
        ...kernel,
      ],
      options as F.ConvOptions,
    ),
    exact: false,
    mixes: true,
  });
const pool = (name: string, x: number[], run: (t: Tensor) => Tensor): Case => ({
  name: `${name} (${x})`,
  inputs: [x],
  run,
  exact: false,
});
/** On planes as they are, and on the blocks that a convolution leaves. */
const bothLayouts = (name: string, x: number[], run: (t: Tensor) => Tensor): Case[] => [
  pool(name, x, run),
  {
    name: `${name} (${x}) of a convolution`,
    inputs: [x, [x[1], 1, 1, 1]],
    run: (t, w) => run(F.conv2d(t, w, { groups: x[1] })),
    exact: false,
  },
];
const pools: Case[] = [
  ...[6, 7, 13, 16, 17, 34, 50].flatMap((width) => [
    ...bothLayouts("maxPool2d 2", [1, 9, 6, width], (x) => F.maxPool2d(x, 2)),
    ...bothLayouts("maxPool2d 3 stride 2 pad 1 ceil", [2, 9, 7, width], (x) =>
      F.maxPool2d(x, 3, { stride: 2, padding: 1, ceilMode: true }),
    ),
    ...bothLayouts("avgPool2d 3 stride 1", [1, 11, 5, width], (x) =>
      F.avgPool2d(x, 3, { stride: 1, padding: 1, countIncludePad: false }),
    ),
  ]),
  ...bothLayouts("maxPool2d 2 stride 2, 1", [1, 9, 6, 9], (x) =>
    F.maxPool2d(x, 2, { stride: [2, 1], padding: [0, 1] }),
  ),
  ...bothLayouts("maxPool2d 2 stride 1", [1, 9, 1, 9], (x) =>
    F.maxPool2d(x, 2, { stride: 1, padding: [1, 0] }),
  ),
  ...bothLayouts("maxPool2d 3 of three rows", [1, 9, 3, 9], (x) =>
    F.maxPool2d(x, 3, { stride: 2 }),
  ),
  ...bothLayouts("maxPool2d 4 stride 5 ceil", [1, 9, 12, 11], (x) =>
    F.maxPool2d(x, 4, { stride: 5, padding: 2, ceilMode: true }),
  ),
  ...bothLayouts("maxPool2d 3, 2", [1, 9, 7, 8], (x) => F.maxPool2d(x, [3, 2], { stride: [2, 3] })),
  ...bothLayouts("maxPool2d dilated", [1, 9, 9, 9], (x) =>
    F.maxPool2d(x, 2, { stride: 1, dilation: 3 }),
  ),
  ...bothLayouts("maxPool2d dilated rows", [1, 9, 9, 9], (x) =>
    F.maxPool2d(x, 3, { stride: 2, padding: 1, dilation: [2, 1] }),
  ),
  ...[5, 9].flatMap((size) =>
    bothLayouts(`maxPool2d ${size} stride 1`, [1, 9, 6, 11], (x) =>
      F.maxPool2d(x, size, { stride: 1, padding: size >> 1 }),
    ),
  ),
  ...bothLayouts("maxPool2d 4 dilated", [1, 9, 12, 13], (x) =>
    F.maxPool2d(x, 4, { stride: 1, padding: 2, dilation: 2 }),
  ),
  ...bothLayouts("avgPool2d 3 pad 1", [1, 11, 7, 8], (x) =>
    F.avgPool2d(x, 3, { stride: 2, padding: 1 }),
  ),
  ...bothLayouts("avgPool2d without padding", [1, 11, 7, 8], (x) =>
    F.avgPool2d(x, 3, { stride: 2, padding: 1, ceilMode: true, countIncludePad: false }),
  ),
  ...bothLayouts("avgPool2d 2 ceil", [1, 11, 7, 9], (x) =>
    F.avgPool2d(x, 2, { padding: 1, ceilMode: true }),
  ),
  ...bothLayouts("avgPool2d by a divisor", [1, 11, 7, 8], (x) =>
    F.avgPool2d(x, 6, { stride: 3, padding: 2, divisorOverride: 7 }),
  ),
  pool("globalAvgPool", [2, 13, 5, 4], F.globalAvgPool),
  pool("interpolate bilinear", [1, 10, 5, 6], (x) =>
    F.interpolate(x, { scaleFactor: 2, mode: "bilinear" }),
  ),
  pool("hardswish", [1, 9, 5, 4], F.hardswish),
  pool("sigmoid", [1, 9, 5, 4], F.sigmoid),
  pool("softmax", [4, 37], (x) => F.softmax(x)),
  {
    name: "convTranspose2d",
    inputs: [[1, 9, 5, 6], [9, 7, 3, 3], [7]],
    run: (x, w, bias) => F.convTranspose2d(x, w, { bias, stride: 2, padding: 1, outputPadding: 1 }),
    exact: true,
  },
  {
    name: "convTranspose2d groups",
    inputs: [
      [1, 8, 5, 6],
      [8, 3, 2, 2],
    ],
    run: (x, w) => F.convTranspose2d(x, w, { stride: 2, groups: 2 }),
    exact: true,
  },
  ...[
    { cin: 9, cout: 1, kernel: [2, 2] },
    { cin: 16, cout: 3, kernel: [2, 3] },
    { cin: 7, cout: 5, kernel: [4, 5] },
  ].map(({ cin, cout, kernel }) => ({
    name: `convTranspose2d ${cin} to ${cout}, kernels ${kernel} side by side`,
    inputs: [[2, cin, 5, 17], [cin, cout, ...kernel], [cout]],
    run: (x: Tensor, w: Tensor, bias: Tensor) =>
      F.relu(F.convTranspose2d(x, w, { bias, stride: kernel })),
    exact: true,
  })),
  ...[3, 4, 9].map((more) => ({
    name: `a skip connection that gets ${more} channels more`,
    inputs: [
      [1, 9, 5, 6],
      [12, 9, 1, 1],
      [12 + more, 12, 1, 1],
    ],
    run: (x: Tensor, w: Tensor, wide: Tensor) => {
      const y = F.relu(F.conv2d(x, w));
      return F.relu(F.add(F.conv2d(y, wide), F.pad(y, [0, 0, 0, 0, 0, more])));
    },
    exact: true,
  })),
  {
    name: "linear",
    inputs: [[3, 19], [21, 19], [21]],
    run: (x, w, b) => F.linear(x, w, b),
    exact: true,
  },
  {
    name: "matmul",
    inputs: [
      [2, 5, 24],
      [24, 33],
    ],
    run: F.matmul,
    exact: true,
  },
  ...[4, 6].map((height) => ({
    name: `conv, residual, relu: ${height} x 7`,
    inputs: [
      [1, 16, height, 7],
      [16, 16, 3, 3],
    ],
    run: (x: Tensor, w: Tensor) => F.relu(F.add(F.conv2d(x, w, { padding: 1 }), x)),
    // Six rows are enough for Winograd's tiles.
    exact: height < 5,
    mixes: height >= 5,
  })),
];
const cases = [...convs, ...thin, ...thin.map(inBlocks), ...strips, ...winograd, ...pools];

for (const { isa, available } of nativeIsas()) {
  describe.runIf(available)(`native:${isa}`, () => {
    it.each(cases)("$name", ({ inputs, run, exact, mixes }) => {
      for (const [fill, tolerance] of [
        [
          (s: readonly number[], i: number) => integers(s, i + 1),
          exact ? { rtol: 0, atol: 0 } : { rtol: 1e-5, atol: 1e-5 },
        ],
        [
          (s: readonly number[], i: number) => Tensor.randn(s, { seed: i + 1 }),
          { rtol: 1e-4, atol: 1e-4 },
        ],
      ] as const) {
        const tensors = inputs.map(fill);
        const expected = withBackend(referenceBackend, () => run(...tensors));
        const scale = mixes ? magnitude(expected) : 1;
        expectClose(
          withBackend(native(isa, 1), () => run(...tensors)),
          expected,
          tolerance,
          scale,
        );
        for (const optimize of [true, false]) {
          const [x, ...weights] = tensors;
          const one = compile((t) => run(t, ...weights), x, {
            backend: "native",
            isa,
            threads: 1,
            optimize,
          });
          const three = compile((t) => run(t, ...weights), x, {
            backend: "native",
            isa,
            threads: 3,
            optimize,
          });
          const { output } = one.runSync({ input: x });
          expectClose(output, expected, tolerance, scale);
          // Bit for bit, whatever the number of threads.
          expect(three.runSync({ input: x }).output.data).toEqual(output.data);
        }
      }
    });

    it("1x1 of an image of many groups of pixels, by more weights than stay near, gives every pixel its sum", () => {
      const [x, w] = [integers([1, 110, 62, 63], 1), integers([500, 110, 1, 1], 2)];
      const outputs = [1, 3].map((threads) => {
        const net = compile((t) => F.conv2d(t, w), x, { backend: "native", isa, threads });
        const { steps } = net.explain({ input: x });
        expect(steps.map(({ algorithm }) => algorithm)).toContain("pointwisePlanes");
        const { output } = net.runSync({ input: x });
        net.dispose();
        return output;
      });
      const [one, three] = outputs as [Tensor, Tensor];
      expect(three.data).toEqual(one.data);
      const pixels = 62 * 63;
      for (let at = 0; at < one.size; at += 997) {
        const [o, pixel] = [Math.floor(at / pixels), at % pixels];
        let sum = 0;
        for (let c = 0; c < 110; c++)
          sum += (x.data[c * pixels + pixel] as number) * (w.data[o * 110 + c] as number);
        expect(one.data[at]).toBe(sum);
      }
    });

    it("a value that is not finite, or huge, comes out of Winograd's tiles as from the sums as they stand", () => {
      const everywhere = Array.from({ length: 36 }, (_, at) => at);
      // In every row and every column of a tile of 9 x 9 or 13 x 13 inputs.
      const scattered = Array.from({ length: 24 }, (_, at) => 7 * at);
      for (const [kernel, options, places, [across, side, channels]] of [
        [[3, 3], { padding: 1 }, everywhere, [6, 12, 8]],
        [[5, 5], { padding: 2 }, [0, 7, 14, 35], [6, 12, 8]],
        [[1, 7], { padding: [0, 3] }, [0, 7, 14, 35], [6, 12, 8]],
        [[3, 3], { padding: 2, dilation: 2 }, [0, 7, 14, 35], [6, 20, 8]],
        [[3, 3], { padding: 1, stride: 2 }, [0, 7, 14, 21, 28, 35], [6, 20, 32]],
        [[3, 3], { padding: 1, stride: 2 }, scattered, [9, 32, 32]],
        [[7, 7], { padding: 3, stride: 2 }, scattered, [13, 48, 3]],
      ] as const) {
        const w = integers([Math.max(16, channels), channels, ...kernel], 2);
        for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e38])
          for (const at of places) {
            const x = integers([1, channels, side, side], 1);
            x.data[(Math.floor(at / across) + 2) * side + (at % across) + 3] = value;
            const run = (t: Tensor) => F.relu(F.conv2d(t, w, options as F.ConvOptions));
            const expected = withBackend(referenceBackend, () => run(x));
            const net = compile(run, x, { backend: "native", isa, threads: 1 });
            const { output } = net.runSync({ input: x });
            net.dispose();
            const wanted = expected.data as Float32Array;
            const wrong = (output.data as Float32Array).findIndex((got, i) =>
              Number.isFinite(wanted[i]) ? !Number.isFinite(got) : !Object.is(got, wanted[i]),
            );
            expect(wrong, `${kernel}: ${value} at ${at}`).toBe(-1);
          }
      }
    });

    it.each([
      { algorithm: "winograd4", kernel: [3, 3], options: { padding: 1 } },
      { algorithm: "winograd2", kernel: [5, 5], options: { padding: 2 } },
      { algorithm: "winograd4", kernel: [3, 3], options: { padding: 2, dilation: 2 } },
      { algorithm: "winograd2", kernel: [1, 7], options: { padding: [0, 3] } },
      { algorithm: "winograd2", kernel: [3, 3], options: { padding: 1, stride: 2 } },
      { algorithm: "winograd4", kernel: [5, 5], options: { padding: 2, stride: 2 } },
      { algorithm: "winograd4", kernel: [4, 4], options: { padding: 1 } },
      // AVX2 leaves Strassen's method to others (native/ops/convStrassen.cpp).
      ...(isa === "avx2"
        ? []
        : [
            {
              algorithm: "strassen",
              kernel: [1, 1],
              options: {},
              channels: 512,
              outs: 256,
            } as const,
          ]),
    ] as const)(
      "$algorithm of $kernel stays within its bound, and can be switched off",
      ({ algorithm: name, kernel, options, channels = 64, outs = 32 }) => {
        const [x, w] = [
          Tensor.randn([1, channels, 28, 28], { seed: 1 }),
          Tensor.randn([outs, channels, ...kernel], { seed: 2 }),
        ];
        const convolve = (t: Tensor, weight: Tensor) =>
          F.conv2d(t, weight, options as F.ConvOptions);
        const [wide, weights] = [x, w].map(
          (t) => new Tensor(Float64Array.from(t.data as Float32Array), t.shape),
        );
        const exact = withBackend(referenceBackend, () => convolve(wide, weights));
        const worst = (winograd: "auto" | "off"): number => {
          const net = compile((t) => convolve(t, w), x, { backend: "native", isa, winograd });
          const { output } = net.runSync({ input: x });
          expect(net.explain({ input: x }).steps.some(({ algorithm }) => algorithm === name)).toBe(
            winograd === "auto",
          );
          net.dispose();
          let most = 0;
          for (let i = 0; i < output.size; i++)
            most = Math.max(most, Math.abs((output.data[i] as number) - (exact.data[i] as number)));
          return most;
        };
        // 24 units in the last place of the sum of |w| times the largest |x| of a tile; a third directly.
        const unit =
          2 ** -24 *
          Array.from({ length: outs }, (_, o) =>
            (w.at(o).data as Float32Array).reduce((sum, v) => sum + Math.abs(v), 0),
          ).reduce((a, b) => Math.max(a, b), 0);
        expect(worst("auto")).toBeLessThan(24 * unit);
        expect(worst("off")).toBeLessThan(8 * unit);
      },
    );

    it("Winograd's tiles in several blocks that threads share give what the sums as they stand do", () => {
      const x = integers([1, 232, 35, 38], 1);
      x.data[(2 * 35 + 30) * 38 + 5] = Number.NaN;
      const w = integers([300, 232, 3, 3], 2);
      const results = (
        [
          ["auto", 1],
          ["auto", 3],
          ["off", 1],
        ] as const
      ).map(([winograd, threads]) => {
        const net = compile((t) => F.conv2d(t, w, { padding: 1 }), x, {
          backend: "native",
          isa,
          threads,
          winograd,
        });
        const { steps } = net.explain({ input: x });
        expect(steps.some(({ algorithm }) => algorithm === "winograd4")).toBe(winograd === "auto");
        const { output } = net.runSync({ input: x });
        net.dispose();
        return output;
      });
      const [one, three, directly] = results as [Tensor, Tensor, Tensor];
      expect(three.data).toEqual(one.data);
      expectClose(one, directly, { rtol: 1e-5, atol: 1e-5 }, magnitude(directly));
    });

    it.skipIf(isa === "avx2").each([
      { name: "odd numbers of pixels and of blocks", shape: [1, 512, 13, 13], outs: 1000 },
      { name: "stride", shape: [1, 512, 27, 29], outs: 1024, options: { stride: 2 } },
      { name: "batch, few outputs", shape: [2, 1024, 20, 14], outs: 512 },
      { name: "many blocks of pixels", shape: [1, 512, 41, 41], outs: 512 },
    ])(
      "Strassen's sums of integers are exact; what is not finite stays in its pixel: $name",
      ({ shape, outs, options }) => {
        const [, channels, , width] = shape as [number, number, number, number];
        const x = integers(shape, 1);
        const w = integers([outs, channels, 1, 1], 2);
        const bias = integers([outs], 3);
        const run = (t: Tensor) => F.relu(F.conv2d(t, w, { bias, ...options }));
        const nets = (["auto", "off"] as const).map((winograd) =>
          compile(run, x, { backend: "native", isa, threads: 1, winograd }),
        );
        const [strassen, directly] = nets as [(typeof nets)[0], (typeof nets)[0]];
        const steps = strassen.explain({ input: x }).steps;
        expect(steps.map(({ algorithm }) => algorithm)).toContain("strassen");
        const check = (what: string): void => {
          const [got, wanted] = [strassen, directly].map(
            (net) => net.runSync({ input: x }).output.data as Float32Array,
          ) as [Float32Array, Float32Array];
          // A huge value may take what is smaller from the sums that it takes part in, but not make them infinite.
          const same = (i: number) =>
            (x.data as Float32Array).includes(1e38)
              ? Number.isFinite(got[i]) === Number.isFinite(wanted[i])
              : Object.is(got[i], wanted[i]);
          const wrong = wanted.findIndex((_, i) => !same(i));
          if (wrong >= 0)
            expect.fail(`${what}: output ${wrong}: ${got[wrong]}, not ${wanted[wrong]}`);
        };
        check("finite");
        for (const value of [Number.NaN, Number.NEGATIVE_INFINITY, 1e38])
          for (const at of [0, x.size - 1, x.size / 2 + 2 * width + 4].map(Math.floor)) {
            const before = x.data[at] as number;
            x.data[at] = value;
            check(`${value} at ${at}`);
            x.data[at] = before;
          }
        for (const net of nets) net.dispose();
      },
    );

    it("an algorithm that was found by trying gives the same, and says what the others take", () => {
      const [x, w] = [integers([1, 16, 12, 12], 1), integers([16, 16, 3, 3], 2)];
      const run = (t: Tensor) => F.conv2d(t, w, { padding: 1 });
      const net = compile(run, x, { backend: "native", isa, threads: 1, tune: true });
      const expected = withBackend(referenceBackend, () => run(x));
      expectClose(
        net.runSync({ input: x }).output,
        expected,
        { rtol: 1e-5, atol: 1e-5 },
        magnitude(expected),
      );
      const step = [...net.explain({ input: x })].find(({ op }) => op === "conv2d");
      expect(step?.declined).toMatch(/takes \d+ % of the time|expected to take more than twice/);
      net.dispose();
    });

    it("a NaN in a window comes out, and only there", () => {
      const x = integers([1, 8, 6, 6], 1);
      x.data[14] = Number.NaN;
      const w = integers([8, 8, 3, 3], 2);
      for (const run of [
        () => F.relu(F.conv2d(x, w, { padding: 1 })),
        () => F.maxPool2d(x, 2),
        () => F.maxPool2d(x, 3, { stride: 2, padding: 1 }),
        () => F.maxPool2d(x, 5, { stride: 1, padding: 2 }),
        () => F.maxPool2d(x, 6, { stride: 1, padding: 2 }),
      ]) {
        expectClose(withBackend(native(isa, 1), run), withBackend(referenceBackend, run), {
          rtol: 0,
          atol: 0,
        });
      }
    });
  });
}

describe("layers of well-known networks at full size", () => {
  it.each(layers)("$name", (layer) => {
    const { input, run, part, channels } = makeLayer(layer, { Tensor, functional: F });
    const expected = withBackend(referenceBackend, () => part(input));
    for (const { isa } of nativeIsas().filter(({ available }) => available)) {
      const results = [1, 3].map((threads) => {
        const net = compile(run, input, { backend: "native", isa, threads });
        const { output } = net.runSync({ input });
        net.dispose();
        return output;
      });
      // As bytes: toEqual takes seconds on so many numbers.
      const [one, three] = results.map(({ data }) => new Uint8Array(data.buffer));
      expect(Buffer.compare(one, three)).toBe(0);
      const picked = pickChannels(results[0].data, results[0].shape[1], channels);
      expectClose(
        new Tensor(picked, expected.shape),
        expected,
        { rtol: 1e-4, atol: 1e-5 },
        magnitude(expected),
      );
    }
  });
});
