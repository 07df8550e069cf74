/** Comparisons, logic, where, powers, casts, and functions that no vector kernel computes: broadcasting, and numbers that are not finite or out of range. */
import { expect, it } from "vitest";
import { DTYPES } from "../../src/core/dtype.js";
import { Tensor } from "../../src/core/tensor.js";
import * as F from "../../src/functional.js";
import { both, extremes, often, op, picksOf, rarely, usual } from "../support/opCases.js";
import { type Case, testParity } from "../support/parity.js";

const { POSITIVE_INFINITY: infinity, NaN: nan } = Number;

const broadcasts: readonly (readonly number[][])[] = [
  [[37], [37]],
  [[2, 9, 5], [5]],
  [
    [2, 9, 5],
    [9, 1],
  ],
  [
    [2, 1, 5],
    [9, 1],
  ],
  [[3], []],
  [[], []],
  [[1], [1]],
  [[4, 1], [1]],
  [
    [1, 1, 70],
    [3, 90, 1],
  ],
  [
    [2, 3, 4, 5],
    [3, 1, 1],
  ],
  [
    [2, 0, 3],
    [1, 3],
  ],
];
const bools = picksOf([0, 1], "bool");
/** More than one task takes. */
const large = [
  [3, 6001],
  [3, 6001],
];
const comparisonCases = (inputs: readonly (readonly number[])[]) =>
  ["equal", "greater", "greaterOrEqual", "less", "lessOrEqual"].flatMap((name) =>
    both(name, { inputs }, often, true),
  );
const pairCases = broadcasts.flatMap((inputs) => [
  ...comparisonCases(inputs),
  ...(["int32", "int64", "uint8"] as const).map(
    (dtype): Case => ({
      name: `lessOrEqual (${inputs.join(") (")}) of ${dtype}`,
      inputs,
      run: op("lessOrEqual"),
      exact: true,
      allNative: true,
      fill: picksOf([0, 1, 2, 3], dtype),
    }),
  ),
  ...["and", "or", "xor"].map(
    (name): Case => ({
      name: `${name} (${inputs.join(") (")})`,
      inputs,
      run: op(name),
      exact: true,
      allNative: true,
      fill: bools,
    }),
  ),
  ...both("pow", { inputs }, often),
  ...both("mod", { inputs, attrs: { fmod: 0 } }, often),
  ...both("mod", { inputs, attrs: { fmod: 1 } }, often),
]);

const whereShapes: readonly (readonly number[][])[] = [
  [[37], [37], [37]],
  [[2, 9, 5], [5], [9, 1]],
  [[9, 1], [2, 1, 5], []],
  [[], [4, 5], [5]],
  [[3, 1, 1], [3, 7, 31], [1]],
  [[1], [1], [1]],
  [[4, 50], [], []],
  [[3, 0], [1], [3, 1]],
];
const whereCases = whereShapes.flatMap((inputs) =>
  (["float32", "float64", "int32", "int64", "uint8", "bool", "float16"] as const).map(
    (dtype): Case => ({
      name: `where (${inputs.join(") (")}) of ${dtype}`,
      inputs,
      run: op("where"),
      exact: true,
      allNative: true,
      fill: (shape, i) =>
        i === 0
          ? bools(shape, 1)
          : picksOf(dtype === "float32" ? [...usual, ...extremes] : [0, 1, 2, 3], dtype)(shape, i),
    }),
  ),
);

const exponentCases = [2, 1, 0, -1, 3, 0.5, -0.5, 2.5, 4, infinity, -infinity, nan].flatMap((e) =>
  [often, rarely].map(
    (fill, k): Case => ({
      name: `pow by ${e}, ${k}`,
      inputs: [[3, 71], []],
      run: op("pow"),
      exact: false,
      allNative: true,
      fill: (shape, i) => (i === 0 ? fill(shape, 3) : Tensor.full([], e)),
    }),
  ),
);

const outOfRange = [
  300,
  -300,
  2 ** 31,
  -(2 ** 31) - 1,
  2 ** 40 + 3,
  2 ** 63,
  -(2 ** 64),
  1e30,
  -7e25,
];
const castCases = (
  ["float32", "float64", "int32", "int64", "uint8", "int8", "bool"] as const
).flatMap((from) =>
  (["float32", "float64", "int32", "int64", "uint8", "int8", "bool"] as const).map(
    (to): Case => ({
      name: `cast from ${from} to ${to}`,
      inputs: [[3, 677]],
      run: op("cast", { to }),
      exact: true,
      allNative: true,
      fill: picksOf(
        from.startsWith("float") || from === "int64"
          ? [...usual, ...extremes, ...outOfRange]
          : [0, 1, 2, 100, 127, 128, 255, -1, -128, 2 ** 31 - 1],
        from,
      ),
    }),
  ),
);

const functions: readonly (readonly [string, object?])[] = [
  ["floor"],
  ["ceil"],
  ["round"],
  ["sign"],
  ["log"],
  ["sin"],
  ["cos"],
  ["tan"],
  ["asin"],
  ["acos"],
  ["atan"],
  ["sinh"],
  ["cosh"],
  ["asinh"],
  ["acosh"],
  ["atanh"],
  ["softsign"],
  ["selu", { alpha: 1.6732632423543772, gamma: 1.0507009873554805 }],
  ["celu", { alpha: 1.3 }],
  ["thresholdedRelu", { alpha: 0.5 }],
  ["thresholdedRelu", { alpha: -0.7 }],
  ["shrink", { bias: 0.3, lambda: 0.5 }],
  ["isNaN"],
  ["isInf"],
];
/** Far from 0 the reference's sines and those of floats are of one number still, but a tangent's poles are too near. */
const near = picksOf([...usual.filter((x) => Math.abs(x) < 100), ...extremes]);
const functionCases = functions.flatMap(([name, attrs]) => [
  ...both(name, { inputs: [[1]], attrs }, near),
  ...both(name, { inputs: [[2, 3, 67]], attrs }, near),
  // In blocks, with lanes that no channel has: what is not finite in them would be in the sums.
  ...(name.startsWith("is")
    ? []
    : [
        {
          name: `${name} ${JSON.stringify(attrs ?? {})} between convolutions`,
          inputs: [
            [1, 11, 5, 7],
            [11, 11, 1, 1],
            [16, 11, 3, 3],
          ],
          run: (x: Tensor, w: Tensor, v: Tensor) =>
            F.conv2d(op(name, attrs)(F.conv2d(x, w)), v, { padding: 1 }),
          exact: false,
          mixes: true,
          allNative: true,
          fill: (shape: readonly number[], i: number) => {
            const t = Tensor.rand(shape, { seed: i });
            for (let k = 0; k < t.size; k++) t.data[k] = (t.data[k] as number) / 4 + (i ? 0 : 0.1);
            return t;
          },
        },
      ]),
]);
const blockedPairs = [
  ["pow", [], 2.5],
  ["pow", [], 0],
  ["pow", [], -0.7],
  ["pow", [1, 11, 5, 7], 1.5],
  ["mod", [], 0.3],
  ["mod", [1, 11, 5, 7], 1],
] as const;
const blockedCases = blockedPairs.map(
  ([name, shape, value]): Case => ({
    name: `${name} by ${value} (${shape}) between convolutions`,
    inputs: [
      [1, 11, 5, 7],
      [11, 11, 1, 1],
      [16, 11, 3, 3],
    ],
    run: (x, w, v) => {
      const y = F.conv2d(x, w);
      const other = shape.length ? F.abs(y) : Tensor.full([], value);
      return F.conv2d(op(name, { fmod: 0 })(F.abs(y), other), v, { padding: 1 });
    },
    exact: false,
    mixes: true,
    allNative: true,
    fill: (s, i) => Tensor.rand(s, { seed: i }),
  }),
);

testParity([
  ...both("less", { inputs: large }, often, true),
  ...both("sin", { inputs: [large[0]] }, near),
  ...pairCases,
  ...whereCases,
  ...exponentCases,
  ...castCases,
  ...functionCases,
  ...blockedCases,
  ...[[1], [3, 61]].map(
    (shape): Case => ({
      name: `not (${shape})`,
      inputs: [shape],
      run: op("not"),
      exact: true,
      allNative: true,
      fill: bools,
    }),
  ),
]);

it("float16 is cast by the definition", () => {
  const halves = op("cast", { to: "float16" })(Tensor.from([1, 0.5, -2]));
  expect(halves.data).toBeInstanceOf(DTYPES.float16.array);
  expect(op("cast", { to: "float32" })(halves).toArray()).toEqual([1, 0.5, -2]);
});
