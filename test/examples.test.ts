/** The examples, each run as it stands: the course's known answers. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { functional as F, type nn, noGrad, Tensor } from "../src/index.js";
import { toOnnx } from "../src/onnx/index.js";
import { expectClose } from "./support/compare.js";
import { missing, pythonWith } from "./support/tools.js";

const example = async (name: string, options?: object) =>
  (await import(`../examples/${name}.js`)).main(options);

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

it("06-learn-an-edge", async () => {
  const { losses, kernel } = await example("06-learn-an-edge");
  expect(losses[0]).toBeGreaterThan(0.1);
  expect(losses.at(-1)).toBeLessThan(1e-6);
  expect(kernel[0]).toBeCloseTo(1, 3);
  expect(kernel[1]).toBeCloseTo(-1, 3);
});

it("07-train-lenet", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "xcorr-lenet-"));
  try {
    const { accuracy, compiled, seconds, model, test } = await example("07-train-lenet", {
      logdir: folder,
      quiet: true,
    });
    expect(accuracy).toBeGreaterThanOrEqual(0.975);
    expect(compiled).toBe(accuracy);
    expect(seconds).toBeLessThan(30);
    // The exported file, in another runtime: the same class for every digit.
    const python = pythonWith("onnx, onnxruntime");
    if (!python) return missing(context, "onnx");
    const [images] = test.tensors as Tensor[];
    writeFileSync(join(folder, "0.onnx"), toOnnx(model, images, { dynamicBatch: true }));
    const input = { shape: images.shape, input: [...(images.data as Float32Array)] };
    writeFileSync(join(folder, "cases.json"), JSON.stringify([input]));
    const script = fileURLToPath(new URL("onnx/runOnnx.py", import.meta.url));
    const { stdout } = spawnSync(python, [script, folder], {
      encoding: "utf8",
      maxBuffer: 1 << 28,
    });
    const theirs = new Tensor(Float32Array.from(JSON.parse(stdout)[0]), [images.shape[0], 10]);
    const ours = noGrad(() => (model as nn.Module).eval().forward(images));
    expect(F.argmax(theirs, 1).data).toEqual(F.argmax(ours, 1).data);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 180_000);
