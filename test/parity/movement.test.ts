/** What moves elements of any dtype: depthToSpace, spaceToDepth, transpose, expand, tile, pad, gather. */
import { describe, expect, it } from "vitest";
import { withBackend } from "../../src/core/dispatch.js";
import { Tensor } from "../../src/core/tensor.js";
import { native, referenceBackend } from "../support/backends.js";
import { both, often, op, picksOf } from "../support/opCases.js";
import { type Case, testParity } from "../support/parity.js";

const blockSizes: readonly (readonly [number, number[]])[] = [
  [1, [1, 2, 3, 5]],
  [2, [2, 3, 4, 6]],
  [3, [1, 5, 9, 27]],
  [8, [1, 2, 8, 64]],
];
const movement: readonly (readonly [string, number[], object])[] = [
  ...blockSizes.flatMap(([blockSize, shape]) =>
    ["DCR", "CRD"].map((mode) => ["spaceToDepth", shape, { blockSize, mode }] as const),
  ),
  // Rows of few numbers, by twos and by more.
  ...[2, 3, 7].flatMap((blockSize) =>
    ["DCR", "CRD"].map((mode): [string, number[], object] => [
      "depthToSpace",
      [2, 2 * blockSize ** 2, 3, 19],
      { blockSize, mode },
    ]),
  ),
  ["transpose", [3, 5, 11, 4], { perm: [1, 0, 2, 3] }],
  ["transpose", [3, 50, 3], { perm: [2, 1, 0] }],
  ["expand", [1], { shape: [3, 70] }],
  ["expand", [], { shape: [2, 9] }],
  ["expand", [3, 1], { shape: [2, 3, 40] }],
  ["expand", [2, 1, 9], { shape: [2, 5, 9] }],
  ["expand", [1, 9, 1, 1], { shape: [2, 9, 17, 13] }],
  ["expand", [4, 1, 1, 11], { shape: [4, 3, 2, 11] }],
  ["expand", [3, 1], { shape: [3, 0] }],
  ["tile", [5], { repeats: [3] }],
  ["tile", [3, 1], { repeats: [2, 40] }],
  ["tile", [2, 3, 4], { repeats: [1, 1, 1] }],
  ["tile", [2, 3, 4], { repeats: [2, 3, 2] }],
  ["tile", [2, 3, 4], { repeats: [2, 0, 2] }],
  ["tile", [1, 3, 1, 9], { repeats: [2, 1, 9, 1] }],
  ["pad", [7], { pads: [3, 5], mode: "reflect", value: 0 }],
  ["pad", [2, 5, 9], { pads: [0, 2, 3, 1, 4, 2], mode: "reflect", value: 0 }],
  ["pad", [1, 3, 1], { pads: [0, 1, 0, 0, 2, 0], mode: "reflect", value: 0 }],
  ["pad", [2, 5, 9], { pads: [1, 2, 30, 1, 0, 2], mode: "edge", value: 0 }],
  ["pad", [2, 5, 9], { pads: [1, 2, 30, 1, 0, 21], mode: "wrap", value: 0 }],
  ["pad", [2, 5, 9], { pads: [0, -2, -3, 1, 4, -2], mode: "edge", value: 0 }],
  ["pad", [4, 5, 9], { pads: [-1, 3, -3, -2, -1, 4], mode: "constant", value: 0 }],
  ["pad", [3, 9], { pads: [0, -7, 0, 5], mode: "wrap", value: 0 }],
  ["pad", [3, 4], { pads: [1, 6, 0, -5], mode: "constant", value: 0 }],
  ["pad", [3, 4], { pads: [0, -5, 0, 6], mode: "constant", value: 0 }],
];
/** Of numbers of every size. */
const movementCases = movement.flatMap(([name, shape, attrs]) => [
  ...both(name, { inputs: [shape], attrs }, often, true),
  ...(["uint8", "int64", "float16"] as const).map(
    (dtype): Case => ({
      name: `${name} (${shape}) ${JSON.stringify(attrs)} of ${dtype}`,
      inputs: [shape],
      run: op(name, attrs),
      exact: true,
      allNative: true,
      fill: picksOf([0, 1, 2, 3, 100], dtype),
    }),
  ),
]);

const gathered: readonly (readonly [number[], number, number[]])[] = [
  [[5], 0, [7]],
  [[5, 3], 0, [2, 3]],
  [[4, 5], 1, []],
  [[2, 5, 9, 2], 1, [11]],
  [[3, 5, 70], 1, [2]],
  [[24, 5], 1, [4, 9]],
  [[3, 5], 1, [0]],
];
const gatherCases = gathered.flatMap(([shape, axis, indices]) =>
  (["float32", "int64", "uint8", "bool"] as const).flatMap((dtype) =>
    (["int32", "int64"] as const).map(
      (type): Case => ({
        name: `gather (${shape}) of ${dtype} at (${indices}) of ${type} along ${axis}`,
        inputs: [shape, indices],
        run: op("gather", { axis }),
        exact: true,
        allNative: true,
        fill: (s, i) =>
          i === 0 ? picksOf([1, 2, 3, 4], dtype)(s, 1) : picksOf([0, 1, 4, -1, -5], type)(s, 2),
      }),
    ),
  ),
);

testParity([
  ...movementCases,
  ...gatherCases,
  {
    name: "pad with a number, less than nothing on one side",
    inputs: [[3, 4, 9]],
    run: op("pad", { pads: [0, -1, 2, 1, 2, -3], mode: "constant", value: 1.5 }),
    exact: true,
    allNative: true,
  },
]);

describe("gather out of range", () => {
  const x = Tensor.randn([5, 3]);
  it.each([5, -6, 2 ** 40])("%s is the error that the definition has", (index) => {
    const indices = new Tensor(BigInt64Array.of(1n, BigInt(index)), [2]);
    for (const backend of [native(), referenceBackend]) {
      expect(() => withBackend(backend, () => op("gather", { axis: 0 })(x, indices))).toThrow(
        `expected indices from -5 to 4, got ${index}`,
      );
    }
  });
});
