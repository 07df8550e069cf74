/** Pools, transposed convolutions, products and what else runs on images, in awkward shapes. */
import type { Tensor } from "../../src/core/tensor.js";
import * as F from "../../src/functional.js";
import { type Case, integers, testParity } from "../support/parity.js";

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
    inputs: [x, [x[1], x[1], 1, 1]],
    // With something added to it, it prefers blocks.
    run: (t, w) => run(F.add(F.conv2d(t, w), t)),
    exact: false,
  },
];
const cases: Case[] = [
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
  ...bothLayouts("interpolate bicubic", [1, 10, 5, 9], (x) =>
    F.interpolate(x, { scaleFactor: 2, mode: "bicubic" }),
  ),
  ...bothLayouts("interpolate to less, with antialiasing", [1, 10, 9, 20], (x) =>
    F.interpolate(x, { size: [4, 7], mode: "bilinear", antialias: true }),
  ),
  {
    name: "interpolate rows alone: what is not finite stays in its column",
    inputs: [[1, 10, 3, 9]],
    run: (x) => F.interpolate(x, { size: [6, 9], mode: "bilinear" }),
    exact: false,
    fill: (shape) => {
      const x = integers(shape, 1);
      x.data[4] = Number.POSITIVE_INFINITY;
      return x;
    },
    allNative: true,
  },
  ...bothLayouts("adaptiveAvgPool2d", [2, 11, 7, 8], (x) => F.adaptiveAvgPool2d(x, [3, 5])),
  ...bothLayouts("adaptiveMaxPool2d", [2, 11, 7, 8], (x) => F.adaptiveMaxPool2d(x, [3, 5])),
  ...bothLayouts("pixelShuffle", [2, 27, 5, 6], (x) => F.pixelShuffle(x, 3)),
  ...bothLayouts("pixelShuffle to whole blocks", [2, 64, 3, 4], (x) => F.pixelShuffle(x, 2)),
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
  ...[
    { cout: 1, kernel: 9, options: { stride: 3, padding: 4, outputPadding: 2 } },
    { cout: 2, kernel: 3, options: { stride: 2, padding: 1, outputPadding: 1 } },
    { cout: 3, kernel: 4, options: { stride: [2, 1], padding: [1, 2] } },
    { cout: 4, kernel: 3, options: { stride: 2, dilation: 2, padding: 1 } },
    // Some outputs are no sums at all.
    { cout: 1, kernel: 2, options: { stride: 3 } },
  ].map(({ cout, kernel, options }) => ({
    name: `convTranspose2d to ${cout}, kernel ${kernel}, ${JSON.stringify(options)}`,
    inputs: [[2, 21, 7, 31], [21, cout, kernel, kernel], [cout]],
    run: (x: Tensor, w: Tensor, bias: Tensor) =>
      F.leakyRelu(F.convTranspose2d(x, w, { bias, ...(options as object) }), 0.5),
    exact: true,
  })),
  ...(
    [
      // One pixel; one row or column; rows too short for tiles, and long ones; groups; outputs that are no sums.
      [[1, 20, 1, 1], [20, 40, 4, 4], {}],
      [[2, 9, 1, 1], [9, 24, 5, 3], { stride: 2, padding: 1, dilation: [1, 2], outputPadding: 1 }],
      [[1, 9, 1, 7], [9, 12, 3, 3], { stride: 2, padding: 1, outputPadding: 1 }],
      [[1, 9, 21, 1], [9, 12, 4, 3], { stride: [3, 2], padding: [2, 0] }],
      [[1, 40, 4, 5], [40, 24, 4, 4], { stride: 2, padding: 1 }],
      [[1, 16, 9, 37], [16, 41, 3, 3], { stride: 2, padding: 1, outputPadding: 1 }],
      [[1, 32, 5, 33], [32, 16, 3, 3], { stride: [1, 2], padding: [1, 0], groups: 2 }],
      [[1, 16, 3, 40], [16, 8, 2, 2], { stride: 3 }],
      [[1, 16, 5, 6], [16, 8, 3, 3], { stride: 2, dilation: 3, padding: 2 }],
    ] as const
  ).map(([x, w, options]) => ({
    name: `convTranspose2d (${x}) by (${w}) ${JSON.stringify(options)}`,
    inputs: [[...x], [...w]],
    run: (a: Tensor, b: Tensor) => F.relu(F.convTranspose2d(a, b, options as object)),
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
    name: "matmul, rows enough for several threads",
    inputs: [
      [2, 130, 24],
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
testParity(cases);
