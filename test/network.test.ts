/** Networks as services use them: off the event loop, side by side, cancelled, disposed of, in workers that end in the middle. */

import { existsSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { expect, it } from "vitest";
import { resolveBackend } from "../src/core/dispatch.js";
import { Graph } from "../src/graph/graph.js";
import {
  compile,
  DisposedError,
  nn,
  OptionError,
  ShapeError,
  Tensor,
  TensorError,
} from "../src/index.js";
import { Network } from "../src/network.js";
import { load } from "../src/onnx/index.js";
import { expectClose } from "./support/compare.js";

const lenet = fileURLToPath(new URL("./data/models/lenet5_mnist.onnx", import.meta.url));
const big = new nn.Sequential(
  ...Array.from({ length: 12 }, (_, i) => new nn.Conv2d(64, 64, 3, { padding: 1, seed: i })),
);
const x = Tensor.randn([1, 64, 112, 112], { seed: 1 });

it("runs side by side give what one alone gives, and the event loop stays free", async () => {
  const net = compile(big, x);
  const { output } = net.runSync({ input: x });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const results = await Promise.all(Array.from({ length: 8 }, () => net.run({ input: x })));
  delay.disable();
  for (const result of results) expectSameBits(result.output, output);
  expect(delay.percentile(50) / 1e6).toBeLessThan(20);
  net.dispose();
}, 60_000);

it("runs whose end the calling thread looks out for give the same, whether it is late, busy or not waited for", async () => {
  const inputs = Array.from({ length: 3 }, (_, i) => Tensor.randn([1, 64, 56, 56], { seed: i }));
  const net = compile(new nn.Sequential(...big.layers.slice(0, 3)), inputs[0], { threads: 1 });
  const wanted = inputs.map((input) => net.runSync({ input }).output);
  for (let i = 0; i < 60; i++) {
    const k = i % inputs.length;
    const abort = new AbortController();
    const pending = net.run({ input: inputs[k] }, { signal: abort.signal });
    const kinds = [
      () => undefined,
      () => busy(i / 10),
      () => setTimeout(() => busy(2), 1),
      () => setTimeout(() => abort.abort("enough"), 1),
    ];
    kinds[(i >> 2) % kinds.length]();
    const result = await pending.catch((error) => error);
    if (result !== "enough") expectSameBits(result.output, wanted[k]);
  }
  net.dispose();
}, 60_000);

/** The same as toEqual on the data, which takes seconds for a million numbers: a test beside others may then reach its limit. */
function expectSameBits(a: Tensor, b: Tensor): void {
  const bytes = ({ data }: Tensor) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  expect(bytes(a).equals(bytes(b))).toBe(true);
}

/** Keeps the thread for so many milliseconds. */
function busy(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

it("inputs may change as soon as run has been called", async () => {
  const net = compile(big, x);
  const { output } = net.runSync({ input: x });
  const copy = x.clone();
  const pending = net.run({ input: copy });
  structuredClone(copy.data.buffer, { transfer: [copy.data.buffer as ArrayBuffer] });
  expect((await pending).output.data).toEqual(output.data);
  net.dispose();
}, 60_000);

it("a short run is through with its inputs when run returns, and writes nothing but its own results", async () => {
  const layers = [new nn.Conv2d(1, 1, 3, { padding: 1, seed: 1 }), new nn.ReLU()];
  for (const size of [16, 96]) {
    const net = compile(new nn.Sequential(...layers), Tensor.zeros([1, 1, size, size]));
    const inputs = Array.from({ length: 20 }, (_, i) =>
      Tensor.randn([1, 1, size, size], { seed: i }),
    );
    const results: Tensor[] = [];
    for (const input of inputs) {
      const given = input.clone();
      const pending = net.run({ input: given });
      expect(given.data).toEqual(input.data);
      (given.data as Float32Array).fill(Number.NaN);
      results.push((await pending).output);
    }
    inputs.forEach((input, i) => {
      const { output } = net.runSync({ input });
      expect(output.data).toEqual(results[i].data);
      (output.data as Float32Array).fill(0);
    });
    net.dispose();
  }
});

it("runs that would be done at once are errors if the data no longer fit, whatever came before", async () => {
  const net = compile(new nn.Conv2d(1, 2, 3, { seed: 1 }), Tensor.zeros([1, 1, 12, 16]));
  const good = Tensor.randn([1, 1, 12, 16], { seed: 1 });
  const { output } = net.runSync({ input: good });
  for (let i = 0; i < 20; i++)
    expect((await net.run({ input: good })).output.data).toEqual(output.data);
  const withData = (data: unknown): Tensor => Object.assign(good.clone(), { data });
  const detached = good.clone();
  structuredClone(detached.data.buffer, { transfer: [detached.data.buffer as ArrayBuffer] });
  let reads = 0;
  const changing = Object.defineProperty(good.clone(), "data", {
    get: () => (reads++ === 0 ? good.data : new Float32Array(3)),
  });
  for (const input of [
    detached,
    withData(new Uint8Array(192)),
    withData(new Float32Array(100)),
    withData(undefined),
    withData({ length: 192 }),
    changing,
  ]) {
    await expect(net.run({ input })).rejects.toThrow();
    expect(() => net.runSync({ input })).toThrow();
  }
  const shared = withData(new Float32Array(new SharedArrayBuffer(4 * 192)));
  (shared.data as Float32Array).set(good.data as Float32Array);
  expect((await net.run({ input: shared })).output.data).toEqual(output.data);
  expect((await net.run({ input: good })).output.data).toEqual(output.data);
  await expect(net.run({ input: good }, { signal: AbortSignal.abort() })).rejects.toThrow(
    "aborted",
  );
  net.dispose();
  await expect(net.run({ input: good })).rejects.toThrow(DisposedError);
});

it("a loop of short runs leaves the event loop its turns", async () => {
  const net = compile(new nn.Conv2d(1, 2, 3, { seed: 1 }), Tensor.zeros([1, 1, 12, 16]));
  const input = Tensor.zeros([1, 1, 12, 16]);
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const begin = performance.now();
  while (performance.now() - begin < 200) await net.run({ input });
  clearInterval(timer);
  expect(turns).toBeGreaterThan(5);
  net.dispose();
});

it("a loop of runs with large results keeps a bounded amount of memory", async () => {
  const input = Tensor.zeros([1, 1, 512, 512]);
  const net = compile(new nn.Sequential(new nn.Conv2d(1, 4, 3, { padding: 1 })), input);
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 300; i++) await net.run({ input });
  // 1.2 GB of results have been made by now.
  expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(500);
  net.dispose();
}, 60_000);

it("an abort rejects with the signal's reason, before and during a run", async () => {
  const net = compile(big, x);
  await net.run({ input: x });
  await expect(net.run({ input: x }, { signal: AbortSignal.abort() })).rejects.toThrow("aborted");
  const controller = new AbortController();
  const pending = net.run({ input: x }, { signal: controller.signal });
  controller.abort(new Error("too late"));
  await expect(pending).rejects.toThrow("too late");
  expect((await net.run({ input: x })).output.shape).toEqual([1, 64, 112, 112]);
  net.dispose();
}, 60_000);

it("dispose in the middle of a run lets it end; later runs are errors", async () => {
  const net = compile(big, x);
  const pending = net.run({ input: x });
  net.dispose();
  net.dispose();
  expect((await pending).output.size).toBe(64 * 112 * 112);
  await expect(net.run({ input: x })).rejects.toThrow(DisposedError);
}, 60_000);

it("feeds and outputs are checked, and any tensor can be asked for", async () => {
  const net = await load(lenet);
  const input = Tensor.zeros([1, 1, 28, 28]);
  expect(() => net.runSync({ inputs: input })).toThrow(
    new OptionError('network.runSync: unknown input "inputs"; did you mean "input"?').message,
  );
  expect(() => net.runSync({})).toThrow(TensorError);
  expect(() => net.runSync({ input: Tensor.zeros([1, 3, 28, 28]) })).toThrow(ShapeError);
  expect(() => net.runSync({ input }, { outputs: ["nothing"] })).toThrow(OptionError);
  const steps = net.explain({ input }).steps;
  expect(steps.every(({ isa }) => isa !== "reference")).toBe(true);
  const plain = await load(lenet, { backend: "reference", optimize: false });
  const inner = plain.explain({ input }).steps[0].name;
  expect(inner).toBeTruthy();
  const { probabilities } = net.runSync({ input });
  expectClose(plain.runSync({ input }).probabilities, probabilities, { rtol: 1e-4, atol: 1e-5 });
  const profile = await net.profile({ input });
  expect(profile.steps.every(({ ms }) => ms >= 0)).toBe(true);
});

const dist = fileURLToPath(new URL("../dist/index.js", import.meta.url));
it.runIf(existsSync(dist))(
  "workers that end in the middle of a run do no harm",
  async () => {
    const code = `
    import(${JSON.stringify(dist)}).then(({ compile, nn, Tensor }) => {
      const x = Tensor.zeros([1, 32, 96, 96]);
      const net = compile(new nn.Sequential(...Array.from({ length: 6 }, () => new nn.Conv2d(32, 32, 3, { padding: 1 }))), x);
      const again = () => net.run({ input: x }).then(again);
      again(); again();
      require("node:worker_threads").parentPort.postMessage("running");
    });`;
    for (let i = 0; i < 20; i++) {
      const worker = new Worker(code, { eval: true });
      await new Promise((resolve) => worker.once("message", resolve));
      // Later also in the middle of a call, when runs are so short that they are done at once.
      if (i % 2) await new Promise((resolve) => setTimeout(resolve, 3 * i));
      await worker.terminate();
    }
  },
  60_000,
);

it("no plan is made ahead for inputs that a model only claims to have", () => {
  const sizes: number[] = [];
  const source = (shape: number[]) => ({
    inputs: [{ name: "x", dtype: "float32" as const, shape }],
    outputs: [],
    build: (inputs: readonly Tensor[]) => {
      sizes.push(inputs[0].size);
      return { graph: new Graph(), baked: [0] };
    },
  });
  for (const side of [200_000, 8192, 8]) {
    const net = new Network(source([1, 3, side, side]), { backend: resolveBackend({}) });
    net.prepareFixed();
    net.dispose();
  }
  expect(sizes).toEqual([192]);
});
