/** Weights stay in their file until a plan packs them. */
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ModelFormatError, nn, Tensor } from "xcorr";
import { load, type Network, toOnnx } from "xcorr/onnx";
import { Bytes } from "../../src/core/bytes.js";
import { elementsOf, scaledTensor, storedIn, storedTensor } from "../../src/core/stored.js";

let folder = "";
let bytes: Uint8Array = new Uint8Array(0);
let expected: Tensor;
const x = Tensor.rand([2, 32, 9, 9], { seed: 1 });

/** Weights of more than 32 KB: of a convolution and its batchNorm, and of a product in several panels. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "xcorr-stored-"));
  const norm = new nn.BatchNorm2d(64);
  norm.runningMean.data.fill(0.25 as never);
  norm.runningVar.data.fill(3 as never);
  const conv = new nn.Conv2d(32, 64, 3, { stride: 2 });
  const layers = [conv, norm, new nn.ReLU(), new nn.Flatten(), new nn.Linear(1024, 203)];
  bytes = toOnnx(new nn.Sequential(...layers), x, { dynamicBatch: true });
  const reference = await load(bytes, { backend: "reference", optimize: false });
  expected = output(reference, x);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const output = (net: Network, input: Tensor): Tensor =>
  net.runSync({ [net.inputs[0].name]: input })[net.outputs[0].name];

function expectClose(actual: Tensor, wanted: Tensor): void {
  actual.data.forEach((value, i) => {
    expect(Number(value)).toBeCloseTo(Number(wanted.data[i]), 4);
  });
}

const fileOf = (name: string, content: Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

it("a path, bytes and bytes at an odd address give the same bits, with one thread and with many", async () => {
  const moved = new Uint8Array(bytes.length + 1).subarray(1);
  moved.set(bytes);
  const path = fileOf("model.onnx", bytes);
  const nets = await Promise.all(
    [path, bytes, moved].flatMap((model) => [load(model, { threads: 1 }), load(model)]),
  );
  const results = nets.map((net) => output(net, x));
  for (const result of results) {
    expectClose(result, expected);
    expect(result.data).toEqual(results[0].data);
  }
  expectClose(output(await load(path, { backend: "reference" }), x), expected);
});

it("a file that is replaced stays as it was", async () => {
  const net = await load(fileOf("replaced.onnx", bytes));
  renameSync(fileOf("other.onnx", new Uint8Array(10)), join(folder, "replaced.onnx"));
  expectClose(output(net, x), expected);
});

it("a file that is written to ends the making of plans, not of runs", async () => {
  const path = fileOf("changed.onnx", bytes);
  const net = await load(path);
  output(net, x);
  appendFileSync(path, "more");
  expectClose(output(net, x), expected);
  const one = new Tensor(x.data.slice(0, x.size / 2), [1, 32, 9, 9]);
  expect(() => output(net, one)).toThrow(ModelFormatError);
  expect(() => output(net, one)).toThrow(/changed\.onnx as it was when it was loaded/);
});

it("a stored tensor reads its elements when they are asked for, and keeps them if asked by name", () => {
  const numbers = Float32Array.of(1, 2, 3, 4, 5, 6);
  const tensor = storedTensor(
    { bytes: Bytes.of(new Uint8Array(numbers.buffer)) },
    [2, 3],
    "float32",
  );
  const scaled = scaledTensor(tensor, Float64Array.of(2, 10));
  expect(elementsOf(tensor)).toEqual(numbers);
  expect(storedIn(tensor)).toBeDefined();
  expect(tensor.data).toEqual(numbers);
  expect(tensor.data).toBe(tensor.data);
  expect(storedIn(tensor)).toBeUndefined();
  expect(tensor).toEqual(new Tensor(numbers, [2, 3]));
  expect([...scaled.data]).toEqual([2, 4, 6, 40, 50, 60]);
  expect([...scaledTensor(tensor, Float64Array.of(3)).data]).toEqual([3, 6, 9, 12, 15, 18]);
});

it.each([
  { name: "a model that fixes its sizes is packed before load resolves", packed: true },
  { name: "unless that is not wanted", options: { prepare: false }, packed: false },
  { name: "or sizes are free", dynamicBatch: true, packed: false },
])("$name", async ({ options, dynamicBatch = false, packed }) => {
  const layers = [new nn.Conv2d(32, 64, 3), new nn.Flatten(), new nn.Linear(3136, 10)];
  const model = toOnnx(new nn.Sequential(...layers), x, { dynamicBatch });
  const wanted = output(await load(model.slice()), x);
  const net = await load(model, options);
  // Against the rules: shows when weights are read.
  model.fill(0);
  const same = output(net, x).data.every((value, i) => value === wanted.data[i]);
  expect(same).toBe(packed);
});

it("prepare is true or false", async () => {
  const wrong = "yes" as unknown as boolean;
  await expect(load(bytes, { prepare: wrong })).rejects.toThrow(
    'load: expected true or false for "prepare"',
  );
});
