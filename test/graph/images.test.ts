/** A batch, image by image: what ops say of it holds, and networks that go that way give the same bits as images one at a time. */
import { describe, expect, it } from "vitest";
import type { OpDef } from "../../src/core/op.js";
import { Tensor } from "../../src/core/tensor.js";
import { Graph, type Value } from "../../src/graph/graph.js";
import { oneImageOf, prefersImages } from "../../src/graph/images.js";
import { verifyGraph } from "../../src/graph/verify.js";
import { compile, functional as F, type Network, nn } from "../../src/index.js";
import { ops } from "../../src/ops/index.js";
import { randomInputs, runGraph } from "../support/graphs.js";
import { twice } from "../support/opCases.js";
import { randomGraph } from "../support/randomGraph.js";

const IMAGES = 3;

interface Case {
  readonly op: string;
  readonly inputs: readonly (readonly number[])[];
  readonly attrs?: object;
  /** Inputs that are the batch; default: the first. */
  readonly ofBatch?: readonly number[];
  /** Its images depend on one another, or on the number of them. */
  readonly refused?: true;
  /** Of inputs that are indices. */
  readonly indices?: number;
}

const x = [IMAGES, 4, 6, 5];
const conv = { stride: [2, 1], padding: [1, 0, 1, 1], dilation: [1, 1], groups: 2 };
const pool = { kernel: [3, 2], stride: [2, 1], padding: [1, 0, 1, 1], dilation: [1, 1] };
const volume = [IMAGES, 2, 4, 5, 3];
const still3d = { stride: [1, 1, 1], padding: [0, 0, 0, 0, 0, 0], dilation: [1, 1, 1] };
const conv3d = { ...still3d, groups: 1 };
const pool3d = { ...still3d, kernel: [2, 2, 2], stride: [1, 2, 1] };
const average = { ceilMode: false, countIncludePad: true, divisorOverride: 0 };
const perChannel = [x, [4], [4]];
const eps = 1e-3;
const none = { ceilMode: true, indices: "none" };
const plain = { alpha: 0.5, beta: 2, transA: false, transB: false };

/** Cases of an op that works along an axis, or several. */
const along = (op: string, attrs: (axis: number) => object): Case[] =>
  [0, 1, 3].map((axis) => ({
    op,
    inputs: [x],
    attrs: attrs(axis),
    ...(axis === 0 && { refused: true }),
  }));

const [rows, wide, matrix] = [
  [IMAGES, 4],
  [IMAGES, 5],
  [4, 5],
];
const [stack, others] = [
  [IMAGES, 2, 4],
  [IMAGES, 4, 5],
];

const cases: readonly Case[] = [
  { op: "conv2d", inputs: [x, [6, 2, 3, 3], [6]], attrs: conv },
  {
    op: "conv2d",
    inputs: [
      [IMAGES, 4, 6, 5],
      [IMAGES, 2, 3, 3],
    ],
    attrs: { ...conv, groups: 1 },
    ofBatch: [1],
    refused: true,
  },
  {
    op: "conv3d",
    inputs: [volume, [3, 2, 2, 2, 2]],
    attrs: { ...conv3d, padding: [0, 0, 0, 1, 1, 1] },
  },
  {
    op: "convTranspose2d",
    inputs: [x, [4, 3, 2, 2]],
    attrs: { ...conv, padding: [0, 0, 0, 0], stride: [2, 2], outputPadding: [1, 0] },
  },
  {
    op: "convTranspose3d",
    inputs: [
      [IMAGES, 2, 3, 2, 3],
      [2, 3, 2, 2, 2],
    ],
    attrs: { ...conv3d, stride: [2, 2, 2], outputPadding: [0, 0, 0] },
  },
  { op: "maxPool2d", inputs: [x], attrs: { ...pool, ...none } },
  { op: "maxPool2d", inputs: [x], attrs: { ...pool, ...none, indices: "tensor" }, refused: true },
  { op: "maxPool3d", inputs: [volume], attrs: { ...pool3d, ...none } },
  { op: "avgPool2d", inputs: [x], attrs: { ...pool, ...average } },
  { op: "avgPool3d", inputs: [volume], attrs: { ...pool3d, ...average } },
  { op: "lpPool2d", inputs: [x], attrs: { ...pool, ceilMode: false, p: 2 } },
  { op: "lpPool3d", inputs: [volume], attrs: { ...pool3d, ceilMode: false, p: 2 } },
  { op: "globalAvgPool", inputs: [x] },
  { op: "globalMaxPool", inputs: [x] },
  { op: "adaptiveAvgPool2d", inputs: [x], attrs: { outputSize: [2, 3] } },
  { op: "adaptiveMaxPool2d", inputs: [x], attrs: { outputSize: [2, 3] } },
  { op: "resize", inputs: [x], attrs: { ...twice, sizes: [IMAGES, 4, 12, 10] } },
  {
    op: "resize",
    inputs: [x],
    attrs: { ...twice, sizes: [6, 4, 6, 5], scales: [2, 1, 1, 1] },
    refused: true,
  },
  { op: "batchNorm", inputs: [x, [4], [4], [4], [4]], attrs: { eps: 9 } },
  { op: "instanceNorm", inputs: perChannel, attrs: { eps } },
  { op: "groupNorm", inputs: perChannel, attrs: { eps, groups: 2 } },
  { op: "channelNorm", inputs: perChannel, attrs: { eps } },
  { op: "localResponseNorm", inputs: [x], attrs: { size: 3, alpha: 0.1, beta: 0.75, k: 1 } },
  { op: "layerNorm", inputs: [x, [5], [5]], attrs: { axis: 3, eps } },
  { op: "layerNorm", inputs: [x, [5]], attrs: { axis: 0, eps }, refused: true },
  ...along("lpNormalize", (axis) => ({ p: 2, axis })),
  ...along("meanVarianceNorm", (axis) => ({ axes: [axis, 2] })),
  ...along("softmax", (axis) => ({ axis })),
  ...along("logSoftmax", (axis) => ({ axis })),
  ...along("hardmax", (axis) => ({ axis })),
  ...along("reduceMean", (axis) => ({ axes: [axis], keepDims: false })),
  ...along("reduceMax", (axis) => ({ axes: [axis, 2], keepDims: true })),
  ...along("argMax", (axis) => ({ axis, keepDims: false, selectLast: false })),
  ...along("argMin", (axis) => ({ axis, keepDims: true, selectLast: true })),
  ...along("topK", (axis) => ({ axis, k: 2, largest: true, sorted: true })),
  ...along("split", (axis) => ({ axis, sizes: [1, x[axis] - 1] })),
  { op: "gather", inputs: [x, [2]], attrs: { axis: 2 }, indices: 1 },
  { op: "gather", inputs: [x, [2]], attrs: { axis: 0 }, indices: 1, refused: true },
  { op: "channelShuffle", inputs: [x], attrs: { groups: 2 } },
  { op: "depthToSpace", inputs: [x], attrs: { blockSize: 2, mode: "CRD" } },
  { op: "spaceToDepth", inputs: [[IMAGES, 2, 6, 4]], attrs: { blockSize: 2, mode: "DCR" } },
  { op: "pad", inputs: [x], attrs: { pads: [0, 1, 0, 2, 0, 0, 1, 0], mode: "edge", value: 0 } },
  {
    op: "pad",
    inputs: [x],
    attrs: { pads: [1, 0, 0, 0, 0, 0, 0, 0], mode: "constant", value: 0 },
    refused: true,
  },
  {
    op: "pad",
    inputs: [x],
    attrs: { pads: [0, 0, 0, 0, 1, 0, 0, 0], mode: "constant", value: 0 },
    refused: true,
  },
  { op: "linear", inputs: [[IMAGES, 7], [5, 7], [5]] },
  {
    op: "linear",
    inputs: [
      [IMAGES, 2, 7],
      [5, 7],
    ],
  },
  { op: "linear", inputs: [[IMAGES], [5, IMAGES]], refused: true },
  { op: "gemm", inputs: [rows, matrix, [5]], attrs: plain },
  {
    op: "gemm",
    inputs: [rows, matrix, wide],
    attrs: plain,
    refused: true,
  },
  {
    op: "gemm",
    inputs: [rows, wide],
    attrs: { ...plain, transA: true },
    refused: true,
  },
  { op: "matmul", inputs: [rows, matrix] },
  { op: "matmul", inputs: [rows, [4]] },
  { op: "matmul", inputs: [stack, matrix] },
  {
    op: "matmul",
    inputs: [
      [IMAGES, 2, 3, 4],
      [2, 4, 5],
    ],
  },
  { op: "matmul", inputs: [stack, [1, 4, 5]] },
  {
    op: "matmul",
    inputs: [stack, others],
    refused: true,
  },
  {
    op: "matmul",
    inputs: [stack, others],
    ofBatch: [0, 1],
  },
  {
    op: "matmul",
    inputs: [[2, 4], others],
    ofBatch: [1],
  },
  {
    op: "matmul",
    inputs: [rows, [2, 4, 5]],
    refused: true,
  },
  { op: "matmul", inputs: [[IMAGES], [IMAGES, 2]], refused: true },
  {
    op: "matmul",
    inputs: [
      [2, IMAGES],
      [IMAGES, 2],
    ],
    ofBatch: [1],
    refused: true,
  },
  { op: "reshape", inputs: [x], attrs: { shape: [IMAGES, 120] } },
  { op: "reshape", inputs: [x], attrs: { shape: [IMAGES * 4, 30] }, refused: true },
  { op: "transpose", inputs: [x], attrs: { perm: [0, 2, 3, 1] } },
  { op: "transpose", inputs: [x], attrs: { perm: [1, 0, 2, 3] }, refused: true },
  { op: "concat", inputs: [x, x], attrs: { axis: 1 }, ofBatch: [0, 1] },
  { op: "concat", inputs: [x, x], attrs: { axis: 1 }, refused: true },
  { op: "concat", inputs: [x, x], attrs: { axis: 0 }, ofBatch: [0, 1], refused: true },
  {
    op: "slice",
    inputs: [x],
    attrs: { starts: [0, 1, 5, 0], sizes: [IMAGES, 2, 3, 5], steps: [1, 1, -2, 1] },
  },
  {
    op: "slice",
    inputs: [x],
    attrs: { starts: [1, 0, 0, 0], sizes: [2, 4, 6, 5], steps: [1, 1, 1, 1] },
    refused: true,
  },
  {
    op: "slice",
    inputs: [x],
    attrs: { starts: [2, 0, 0, 0], sizes: [IMAGES, 4, 6, 5], steps: [-1, 1, 1, 1] },
    refused: true,
  },
  { op: "expand", inputs: [[IMAGES, 1, 5]], attrs: { shape: others } },
  { op: "expand", inputs: [[IMAGES, 1]], attrs: { shape: [2, IMAGES, 4] }, refused: true },
  { op: "tile", inputs: [x], attrs: { repeats: [1, 2, 1, 3] } },
  { op: "tile", inputs: [x], attrs: { repeats: [2, 1, 1, 1] }, refused: true },
];

/** Image n of a tensor. */
function imageOf({ data, shape, dtype }: Tensor, n: number): Tensor {
  const size = data.length / shape[0];
  return new Tensor(data.slice(n * size, (n + 1) * size), [1, ...shape.slice(1)], dtype);
}

function run(op: OpDef, inputs: readonly Tensor[], attrs: object): Tensor[] {
  const outputs = op.infer(inputs, attrs).map(({ shape, dtype }) => Tensor.zeros(shape, dtype));
  op.reference(inputs, attrs, outputs);
  return outputs;
}

describe("an op that says how one image of a batch is made gives that of the batch", () => {
  for (const { op: name, inputs, attrs = {}, ofBatch = [0], refused, indices } of cases) {
    const shapes = inputs.map((shape) => `(${shape})`).join(" ");
    it(`${name} ${shapes} ${JSON.stringify(attrs)} of batch: ${ofBatch}${refused ? ", refused" : ""}`, () => {
      const op = ops.get(name) as OpDef;
      const tensors = inputs.map((shape, i) =>
        i === indices
          ? new Tensor(new BigInt64Array([2n, 0n]), shape, "int64")
          : Tensor.rand(shape, { seed: i + 1 }),
      );
      const flags = inputs.map((_, i) => ofBatch.includes(i));
      const one = op.byImage?.(tensors, attrs, flags);
      if (refused) return expect(one).toBeUndefined();
      const whole = run(op, tensors, attrs);
      for (let n = 0; n < IMAGES; n++) {
        const images = tensors.map((t, i) => (flags[i] ? imageOf(t, n) : t));
        const made = run(op, images, one as object);
        made.forEach((t, k) => {
          expect(t.shape).toEqual([1, ...whole[k].shape.slice(1)]);
          expect(t.data).toEqual(imageOf(whole[k], n).data);
        });
      }
    });
  }

  it("every such op has a case that is not refused", () => {
    const named = new Set(cases.filter(({ refused }) => !refused).map(({ op }) => op));
    const reductions = [...ops.keys()].filter((name) => name.startsWith("reduce"));
    const missing = [...ops.values()].filter(
      ({ name, byImage }) => byImage && !named.has(name) && !reductions.includes(name),
    );
    expect(missing.map(({ name }) => name)).toEqual([]);
  });
});

it("random graphs mean the same, image by image", () => {
  let taken = 0;
  for (let seed = 1; seed <= 80; seed++) {
    const graph = randomGraph(seed);
    const one = oneImageOf(graph);
    if (!one) continue;
    taken++;
    verifyGraph(one.graph);
    const inputs = randomInputs(graph);
    const whole = runGraph(graph, inputs);
    for (let n = 0; n < one.images; n++) {
      const made = runGraph(
        one.graph,
        inputs.map((t) => imageOf(t, n)),
      );
      made.forEach((t, k) => {
        expect(t.data).toEqual(imageOf(whole[k], n).data);
      });
    }
  }
  expect(taken).toBeGreaterThan(20);
});

it("weights that do little but be read, as a large linear layer's, and steps of few numbers are better for a whole batch", () => {
  const graphOf = (body: nn.Module, shape: readonly number[]): Graph =>
    compile(body, Tensor.zeros(shape)).graph({ input: Tensor.zeros(shape) });
  const convolutions = new nn.Sequential(new nn.Conv2d(3, 8, 3), new nn.ReLU());
  expect(prefersImages(graphOf(convolutions, [1, 3, 20, 20]))).toBe(true);
  const rows = new nn.Softmax(1);
  expect(prefersImages(graphOf(rows, [1, 2]))).toBe(false);
  expect(prefersImages(graphOf(rows, [1, 1000]))).toBe(true);
  const head = new nn.Sequential(convolutions, new nn.Flatten(), new nn.Linear(8 * 18 * 18, 400));
  expect(prefersImages(graphOf(head, [1, 3, 20, 20]))).toBe(false);
});

describe("networks", () => {
  const images = 5;
  const batch = Tensor.randn([images, 3, 40, 40], { seed: 3 });
  // Parts of a concat, a residual, results of more and of less than 32 KB.
  const stem = new nn.Conv2d(3, 16, 3, { padding: 1, seed: 1 });
  const block = new nn.Conv2d(16, 16, 3, { padding: 1, seed: 2 });
  const head = new nn.Linear(16, 10, { seed: 3 });
  const model = (input: Tensor): Tensor[] => {
    const features = F.relu(stem.forward(input));
    const sum = F.add(block.forward(features), features);
    const pooled = F.mean(sum, [2, 3]);
    return [sum, head.forward(pooled)];
  };

  it.each([1, 2, 3, 4, 5, 6, 16])(
    "with %d thread(s) a batch gives the bits of its images",
    async (threads) => {
      const net = compile(model, batch, { threads });
      const single = compile(model, imageOf(batch, 0), { threads: 1 });
      const one = Array.from({ length: images }, (_, n) =>
        single.runSync({ input: imageOf(batch, n) }),
      );
      const bytesOf = (n: Network, input: Tensor): number => n.explain({ input }).arenaBytes;
      expect(bytesOf(net, batch)).toBe(bytesOf(single, imageOf(batch, 0)));
      const changed = batch.clone();
      const running = net.run({ input: changed });
      (changed.data as Float32Array).fill(Number.NaN);
      const { outputs } = await net.profile({ input: batch });
      for (const result of [net.runSync({ input: batch }), await running, outputs]) {
        for (const [name, whole] of Object.entries(result)) {
          for (let n = 0; n < images; n++)
            expect(imageOf(whole, n).data, `${name}, image ${n}`).toEqual(one[n][name].data);
        }
      }
      net.dispose();
      single.dispose();
    },
  );

  it("reports are of whole batches", async () => {
    const net = compile(model, batch, { threads: 2 });
    const single = compile(model, imageOf(batch, 0));
    const steps = net.explain({ input: batch }).steps;
    const ofOne = single.explain({ input: imageOf(batch, 0) }).steps;
    expect(steps.map(({ macs }) => macs)).toEqual(ofOne.map(({ macs }) => macs * images));
    expect(steps[0].outputs[0].shape[0]).toBe(images);
    const profiled = (await net.profile({ input: batch })).steps;
    expect(profiled.every(({ ms }) => ms >= 0)).toBe(true);
    expect(profiled.some(({ ms }) => ms > 0)).toBe(true);
  });

  it("a tensor inside can be asked for; an abort ends the run", async () => {
    const net = compile(model, batch, { threads: 2 });
    const name = net.explain({ input: batch }).steps[0].makes[0];
    const asked = await net.run({ input: batch }, { outputs: [name] });
    expect(asked[name].shape[0]).toBe(images);
    const abort = new AbortController();
    const large = Tensor.zeros([images, 3, 600, 600]);
    await net.run({ input: large });
    const running = net.run({ input: large }, { signal: abort.signal });
    abort.abort("enough");
    await expect(running).rejects.toBe("enough");
    expect((await net.run({ input: batch })).output1.shape).toEqual([images, 10]);
  });

  it("images that depend on one another go layer by layer", () => {
    const arena = (model: (t: Tensor) => Tensor): number =>
      compile(model, batch).explain({ input: batch }).arenaBytes;
    const mixing = (input: Tensor) => F.softmax(stem.forward(input), 0);
    const apart = (input: Tensor) => F.softmax(stem.forward(input), 1);
    expect(arena(mixing)).toBeGreaterThan(2 * arena(apart));
  });
});

describe("graphs of elementwise ops", () => {
  const add = ops.get("add") as OpDef;
  const graphOf = (build: (graph: Graph) => Value): Graph => {
    const graph = new Graph();
    graph.outputs = [{ name: "y", value: build(graph) }];
    return graph;
  };
  const input = (graph: Graph, ...shape: number[]): Value =>
    graph.input("x", { dtype: "float32", shape });
  const constant = (graph: Graph, ...shape: number[]): Value => graph.constant(Tensor.ones(shape));

  it("values of constants alone serve all images", () => {
    const graph = graphOf((g) => {
      const k = constant(g, 3);
      return g.add(add, [input(g, 2, 3), g.add(add, [k, k], {})[0]], {})[0];
    });
    const one = oneImageOf(graph);
    expect(one?.images).toBe(2);
    expect(runGraph(one?.graph as Graph, [Tensor.zeros([1, 3])])[0].data).toEqual(
      new Float32Array([2, 2, 2]),
    );
  });

  it.each<[string, (graph: Graph) => Value]>([
    [
      "a result without a batch",
      (g) => [input(g, 2, 3), g.add(add, [constant(g, 3), constant(g, 3)], {})[0]][1],
    ],
    ["a constant for each image", (g) => g.add(add, [input(g, 2, 3), constant(g, 2, 3)], {})[0]],
    ["images along another axis", (g) => g.add(add, [input(g, 2, 2, 3), input(g, 2, 3)], {})[0]],
    ["inputs of other numbers", (g) => g.add(add, [input(g, 2, 3), input(g, 1, 3)], {})[0]],
    ["one image", (g) => g.add(add, [input(g, 1, 3), constant(g, 3)], {})[0]],
  ])("%s: layer by layer", (_, build) => {
    expect(oneImageOf(graphOf(build))).toBeUndefined();
  });
});
