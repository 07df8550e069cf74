/** The examples, each run as it stands: the course's known answers. */
import { expect, it } from "vitest";
import type { Tensor } from "../src/core/tensor.js";
import { expectClose } from "./support/compare.js";

const example = async (name: string) => (await import(`../examples/${name}.js`)).main();

it("01-edges", async () => {
  const { first, edges } = await example("01-edges");
  expect(first).toEqual([
    [19, 25],
    [37, 43],
  ]);
  expect(edges).toEqual(Array.from({ length: 6 }, () => [0, 1, 0, 0, 0, -1, 0]));
});

it("02-channels", async () => {
  const { multiIn, multiInOut, difference } = await example("02-channels");
  expect(multiIn).toEqual([
    [56, 72],
    [104, 120],
  ]);
  expect(multiInOut).toEqual([
    [
      [56, 72],
      [104, 120],
    ],
    [
      [76, 100],
      [148, 172],
    ],
    [
      [96, 128],
      [192, 224],
    ],
  ]);
  expect(difference).toBeLessThan(1e-6);
});

it("03-padding-stride-pooling", async () => {
  const { shapes, max, avg } = await example("03-padding-stride-pooling");
  expect(shapes).toEqual({
    same: [1, 1, 8, 8],
    tall: [1, 1, 8, 8],
    halved: [1, 1, 4, 4],
    uneven: [1, 1, 2, 2],
  });
  expect(max).toEqual([
    [
      [4, 5],
      [7, 8],
    ],
  ]);
  expect(avg).toEqual([
    [
      [2, 3],
      [5, 6],
    ],
  ]);
});

it("04-layers", async () => {
  const { bias, text, parameters, eager, output } = await example("04-layers");
  expect(bias).toEqual([0]);
  expect(text).toContain("(0): Conv2d(1, 6, kernelSize=(5, 5), padding=2)");
  expect(parameters).toContain("11.weight");
  expectClose(output as Tensor, eager as Tensor, { rtol: 1e-5, atol: 1e-6 });
});

it("05-onnx", async () => {
  const { label, probability } = await example("05-onnx");
  expect(label).toBe("espresso");
  expect(probability).toBeCloseTo(0.951, 2);
});
