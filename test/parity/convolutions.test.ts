/** Convolutions of awkward shapes, for every algorithm. */
import { Tensor } from "../../src/core/tensor.js";
import * as F from "../../src/functional.js";
import { type Case, conv, integers, testParity } from "../support/parity.js";

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
// Patches, which are read where they lie, eight columns at a time.
convs.push(
  conv([2, 3, 32, 48], [24, 3, 16, 16], { stride: 16 }),
  conv([1, 3, 33, 40], [17, 3, 8, 8], { stride: 8 }),
  conv([1, 2, 20, 33], [40, 2, 8, 8], { stride: 4, padding: [2, 3] }),
  conv([1, 3, 9, 50], [9, 3, 3, 16], { stride: [3, 5], padding: [0, 4] }),
  conv([1, 5, 24, 26], [12, 5, 8, 8], { stride: 8, dilation: [2, 1] }),
  conv([1, 5, 24, 26], [12, 5, 8, 8], { stride: 4, dilation: [1, 2], padding: 1 }),
  conv([1, 2, 1, 200], [16, 2, 1, 80], { stride: [1, 4] }),
  conv([1, 3, 20, 21], [16, 3, 3, 3], { stride: 4 }),
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
/** To few outputs: sums by lanes of the input channels. */
const few: Case[] = [1, 2, 3, 4, 5].flatMap((cout, i) => [
  conv([1, 8 + 7 * i, 9, 11 + 9 * i], [cout, 8 + 7 * i, 3, 3], { padding: 1 }),
  conv([2, 33 - i, 8, 3 + i], [cout, 33 - i, 1, 1], {}),
  conv([1, 16 + i, 13, 57], [cout, 16 + i, 5, 3], {
    stride: [2, 1 + (i % 2)],
    padding: [2, 0, 1, 1],
  }),
  conv([1, 40, 10, 30], [cout, 40, 3, 3], { dilation: [1, 2], padding: [0, i] }),
  {
    name: `to ${cout} outputs, then a residual and leakyRelu`,
    inputs: [[1, 19, 9, 21], [cout, 19, 3, 3], [cout], [1, cout, 9, 21]],
    run: (x, w, bias, residual) =>
      F.leakyRelu(F.add(F.conv2d(x, w, { bias, padding: 1 }), residual), 0.5),
    exact: true,
  },
]);
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
  [[1, 40, 4, 30], [3, 3], { padding: 1 }],
  [[1, 33, 2, 23], [3, 3], { padding: 1 }],
  [[1, 33, 3, 3], [3, 3], { padding: 1 }],
  [[1, 16, 7, 31], [3, 3], { dilation: 4, padding: 4 }],
  [[1, 33, 6, 29], [3, 3], { stride: 2, padding: 1 }],
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
/** Depthwise with dilations: tracks of rows and columns that lie apart, which the padding may begin anywhere. */
const dilated = (
  [
    [[1, 20, 13, 17], 3, { padding: 2, dilation: 2 }],
    [[2, 9, 11, 14], 3, { padding: [1, 4], dilation: 3 }],
    [[1, 17, 12, 23], 3, { padding: [0, 5], dilation: [1, 4] }],
    [[1, 8, 21, 6], 3, { padding: [7, 1], dilation: [5, 1] }],
    [[1, 16, 5, 4], 3, { padding: 6, dilation: 6 }],
    [[1, 24, 16, 15], 5, { padding: 4, dilation: 2 }],
    [[1, 10, 12, 13], 4, { padding: 3, dilation: 2 }],
    [[1, 12, 14, 13], 3, { padding: 2, dilation: 2, stride: [1, 2] }],
  ] as const
).map(([x, k, options]) =>
  conv([...x], [x[1], 1, k, k], { ...options, groups: x[1] } as F.ConvOptions),
);
/** Slopes of their own for all channels, in every kind of panel; where images stay plain and where they come in blocks, with a residual and a product behind. */
const sloped = (
  [
    [[1, 3, 17, 19], [24, 3, 3, 3], { stride: 2, padding: 1 }],
    [[1, 12, 9, 11], [20, 12, 3, 3], { padding: 1 }],
    [[1, 40, 7, 9], [88, 40, 1, 1], {}],
    [[1, 8, 4, 5], [41, 8, 3, 3], { padding: 1, stride: 2 }],
    [[2, 19, 9, 21], [19, 1, 3, 3], { groups: 19, padding: 1 }],
    [[1, 40, 13, 15], [40, 1, 9, 9], { groups: 40, padding: 4 }],
    [[1, 17, 12, 23], [17, 1, 3, 3], { groups: 17, padding: 2, dilation: 2 }],
    [[2, 32, 9, 21], [32, 4, 3, 3], { groups: 8, padding: 1 }],
    [[1, 18, 7, 9], [36, 6, 1, 1], { groups: 3 }],
    [[1, 16, 9, 11], [2, 16, 3, 3], { padding: 1 }],
    [[1, 1, 21, 65], [1, 1, 3, 3], { padding: 1 }],
    [[1, 2, 20, 33], [7, 2, 3, 3], { padding: 1 }],
  ] as const
).map(
  ([x, w, options]): Case => ({
    name: `conv2d (${x}) by (${w}) ${JSON.stringify(options)}, then prelu`,
    inputs: [[...x], [...w], [w[0]], [w[0]]],
    run: (a, b, bias, slopes) =>
      F.prelu(F.conv2d(a, b, { ...(options as F.ConvOptions), bias }), slopes),
    exact: true,
    allNative: true,
  }),
);
// What stands after it: a factor and a summand, which make something of the zeros past the last channel.
for (const w of [
  [20, 12, 3, 3],
  [12, 1, 3, 3],
])
  sloped.push({
    name: `conv2d by (${w}), then prelu, a factor and a summand`,
    inputs: [[1, 12, 9, 11], w, [w[0]], [5, w[0], 1, 1]],
    run: (x, a, slopes, b) =>
      F.conv2d(
        F.add(
          F.mul(
            F.prelu(F.conv2d(x, a, { padding: 1, groups: 12 / w[1] }), slopes),
            Tensor.full([], 0.5),
          ),
          Tensor.full([], 3),
        ),
        b,
      ),
    exact: true,
  });
sloped.push({
  name: "1x1, prelu, depthwise, prelu, 1x1 and a residual, prelu",
  inputs: [[1, 24, 13, 14], [40, 24, 1, 1], [40], [40, 1, 3, 3], [40], [24, 40, 1, 1], [24]],
  run: (x, wide, a, own, b, narrow, c) => {
    const y = F.prelu(F.conv2d(x, wide), a);
    const z = F.prelu(F.conv2d(y, own, { groups: 40, padding: 1 }), b);
    return F.prelu(F.add(F.conv2d(z, narrow), x), c);
  },
  exact: true,
  mixes: true,
});
for (const [cin, cout, k, stride] of [
  [24, 40, 3, 1],
  [32, 72, 3, 2],
  [8, 24, 5, 1],
] as const)
  winograd.push({
    name: `${k}x${k} of ${cin} to ${cout} channels, stride ${stride}, then prelu`,
    inputs: [[1, cin, 30, 31], [cout, cin, k, k], [cout]],
    run: (x, w, slopes) => F.prelu(F.conv2d(x, w, { padding: k >> 1, stride }), slopes),
    exact: false,
    mixes: true,
  });
testParity([
  ...sloped,
  ...dilated,
  ...dilated.map(inBlocks),
  ...convs,
  ...thin,
  ...thin.map(inBlocks),
  ...few,
  ...strips,
  ...winograd,
]);
