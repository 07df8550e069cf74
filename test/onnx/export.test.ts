/** toOnnx: what it writes, read back by our own importer, by ONNX's checker and by onnxruntime; all must agree with the model as it runs here. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { noGrad } from "../../src/core/gradMode.js";
import { Tensor } from "../../src/core/tensor.js";
import * as F from "../../src/functional.js";
import * as nn from "../../src/nn/index.js";
import { load, toOnnx } from "../../src/onnx/index.js";
import { expectClose, magnitude } from "../support/compare.js";
import { missing, pythonWith } from "../support/tools.js";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "xcorr-export-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Case {
  readonly name: string;
  readonly shape: readonly number[];
  readonly model: nn.Module | ((x: Tensor) => Tensor);
}
const unary = (f: (x: Tensor) => Tensor) => (x: Tensor) =>
  f(F.conv2d(x, Tensor.full([2, 3, 1, 1], 0.5)));

const cases: Case[] = [
  {
    name: "lenet",
    shape: [2, 1, 28, 28],
    model: new nn.Sequential(
      new nn.Conv2d(1, 6, 5, { padding: 2, seed: 1 }),
      new nn.Tanh(),
      new nn.AvgPool2d(2),
      new nn.Conv2d(6, 16, 5, { seed: 2 }),
      new nn.BatchNorm2d(16),
      new nn.ReLU(),
      new nn.MaxPool2d(2),
      new nn.Flatten(),
      new nn.Linear(400, 10, { seed: 3 }),
    ),
  },
  {
    name: "convolutions",
    shape: [1, 3, 9, 8],
    model: (x) =>
      F.conv2d(
        F.conv2d(x, Tensor.rand([6, 1, 3, 3], { seed: 1 }), {
          groups: 3,
          stride: 2,
          padding: [0, 1, 2, 1],
        }),
        Tensor.rand([2, 6, 2, 2], { seed: 2 }),
        { dilation: 2, padding: 1 },
      ),
  },
  {
    name: "padding mode",
    shape: [1, 3, 6, 6],
    model: (x) =>
      F.conv2d(x, Tensor.rand([2, 3, 3, 3], { seed: 1 }), { padding: 1, paddingMode: "reflect" }),
  },
  {
    name: "transposed",
    shape: [1, 3, 4, 5],
    model: (x) =>
      F.convTranspose2d(x, Tensor.rand([3, 2, 3, 3], { seed: 1 }), {
        stride: 2,
        padding: 1,
        outputPadding: 1,
      }),
  },
  {
    name: "pools",
    shape: [1, 3, 9, 9],
    model: (x) =>
      F.cat(
        [
          F.maxPool2d(x, 3, { stride: 2, ceilMode: true }),
          F.avgPool2d(x, 3, { stride: 2, countIncludePad: false }),
          F.adaptiveAvgPool2d(x, 3).reshape([1, 3, 3, 3]).at(0).reshape([1, 3, 3, 3]),
          F.interpolate(F.globalAvgPool(x), { size: [4, 4] }),
        ].slice(0, 2),
        1,
      ),
  },
  { name: "adaptive", shape: [1, 3, 9, 6], model: (x) => F.adaptiveAvgPool2d(x, [3, 2]) },
  {
    name: "resize",
    shape: [1, 3, 4, 5],
    model: (x) => F.interpolate(x, { scaleFactor: 2, mode: "bilinear" }),
  },
  {
    name: "arithmetic",
    shape: [2, 3, 4, 4],
    model: (x) =>
      F.div(
        F.sub(F.mul(x, Tensor.from([2])), F.mean(x, [2, 3], true)),
        F.add(F.abs(x), Tensor.from([1])),
      ),
  },
  {
    name: "softmax of a permutation",
    shape: [2, 3, 4],
    model: (x) => F.softmax(F.permute(x, [0, 2, 1]), 1),
  },
  ...[
    F.relu,
    F.relu6,
    F.elu,
    F.gelu,
    F.sigmoid,
    F.hardswish,
    F.hardsigmoid,
    F.silu,
    F.mish,
    F.tanh,
    F.softplus,
    F.leakyRelu,
    F.selu,
  ].map((f) => ({ name: f.name, shape: [1, 3, 4, 4], model: unary((x) => f(x)) })),
  { name: "clamp on one side", shape: [1, 3, 2, 2], model: (x) => F.clamp(x, 0.2) },
];

const run = (model: Case["model"], x: Tensor): Tensor =>
  noGrad(() => (typeof model === "function" ? model(x) : model.eval().forward(x)));

it.each(cases)(
  "$name: read back it gives the same, optimised and not",
  async ({ model, shape }) => {
    const x = Tensor.randn(shape, { seed: 5 });
    const wanted = run(model, x);
    const bytes = toOnnx(model, x);
    for (const optimize of [true, false]) {
      using net = await load(bytes, { optimize, backend: "reference" });
      const got = net.runSync({ input: x }).output;
      expectClose(got, wanted, { rtol: 1e-5, atol: 1e-5 }, magnitude(wanted));
    }
  },
);

it("ONNX's checker accepts what it writes, and onnxruntime computes the same", (context) => {
  const python = pythonWith("onnx, onnxruntime");
  if (!python) return missing(context, "onnx");
  const list = cases.map(({ name, model, shape }, i) => {
    const x = Tensor.randn(shape, { seed: 5 });
    writeFileSync(join(folder, `${i}.onnx`), toOnnx(model, x));
    return { name, shape, input: [...(x.data as Float32Array)] };
  });
  writeFileSync(join(folder, "cases.json"), JSON.stringify(list));
  const script = fileURLToPath(new URL("runOnnx.py", import.meta.url));
  const { stdout, stderr, status } = spawnSync(python, [script, folder], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  expect(status, stderr).toBe(0);
  (JSON.parse(stdout) as number[][]).forEach((values, i) => {
    const { model, shape, name } = cases[i];
    const wanted = run(model, Tensor.randn(shape, { seed: 5 }));
    const got = new Tensor(Float32Array.from(values), wanted.shape);
    try {
      expectClose(got, wanted, { rtol: 1e-4, atol: 1e-5 }, magnitude(wanted));
    } catch (error) {
      throw new Error(`${name}: ${(error as Error).message}`);
    }
  });
}, 120_000);

it("a network that was loaded comes out as it went in", async () => {
  const file = fileURLToPath(new URL("../data/models/lenet5_mnist.onnx", import.meta.url));
  using net = await load(file);
  const [info] = net.inputs;
  const x = Tensor.rand(
    info.shape.map((n) => (typeof n === "number" ? n : 1)),
    { seed: 1 },
  );
  using again = await load(toOnnx(net, { [info.name]: x }));
  const [a, b] = [net, again].map((n) => Object.values(n.runSync({ [info.name]: x }))[0]);
  expectClose(b, a, { rtol: 1e-6, atol: 1e-6 }, magnitude(a));
  expect(again.outputs.map(({ name }) => name)).toEqual(net.outputs.map(({ name }) => name));
});

it("dynamicBatch leaves the first axis free", async () => {
  const { model } = cases[0];
  const bytes = toOnnx(model, Tensor.zeros([1, 1, 28, 28]), {
    dynamicBatch: true,
    path: join(folder, "free.onnx"),
  });
  expect(new Uint8Array(readFileSync(join(folder, "free.onnx")))).toEqual(bytes);
  using net = await load(bytes);
  expect(net.inputs[0].shape).toEqual(["N", 1, 28, 28]);
  const x = Tensor.randn([5, 1, 28, 28], { seed: 1 });
  const wanted = run(model, x);
  expectClose(
    net.runSync({ input: x }).output,
    wanted,
    { rtol: 1e-4, atol: 1e-5 },
    magnitude(wanted),
  );
});

it("says which op ONNX does not have", () => {
  expect(() =>
    toOnnx((x: Tensor) => F.adaptiveAvgPool2d(x, 3), Tensor.zeros([1, 1, 7, 7])),
  ).toThrow('toOnnx: expected ops that ONNX has, got adaptiveAvgPool2d {"outputSize":[3,3]}');
  expect(() => toOnnx(new nn.ReLU())).toThrow(
    "toOnnx: expected an example input of the model, got undefined",
  );
});
