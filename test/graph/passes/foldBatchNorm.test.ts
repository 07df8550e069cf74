/** foldBatchNorm: what it folds, and what it must leave. */
import { expect, it } from "vitest";
import { Tensor } from "../../../src/core/tensor.js";
import { Graph, type Value } from "../../../src/graph/graph.js";
import { foldBatchNorm } from "../../../src/graph/passes/foldBatchNorm.js";
import { ops } from "../../../src/ops/index.js";
import { applyAndCompare, opsOf } from "../../support/graphs.js";

const op = (name: string) => ops.get(name) as NonNullable<ReturnType<typeof ops.get>>;
const window = { stride: [1, 1], padding: [1, 1, 1, 1], dilation: [1, 1], groups: 1 };

function conv(graph: Graph, x: Value, channels: number, groups = 1): Value {
  const shape = [channels, x.type.shape[1] / groups, 3, 3];
  const inputs = [x, graph.constant(Tensor.randn(shape, { seed: 3 }), "w")];
  return graph.add(op("conv2d"), inputs, { ...window, groups })[0];
}

function batchNorm(graph: Graph, x: Value): Value {
  const c = x.type.shape[1];
  const numbers = [4, 5, 6, 7].map((seed) =>
    graph.constant(seed === 7 ? Tensor.rand([c], { seed }) : Tensor.randn([c], { seed }), "bn"),
  );
  return graph.add(op("batchNorm"), [x, ...numbers], { eps: 1e-3 })[0];
}

const give = (graph: Graph, ...values: Value[]): void => {
  graph.outputs = values.map((value, i) => ({ name: `y${i}`, value }));
};

function start(): { graph: Graph; x: Value } {
  const graph = new Graph();
  return { graph, x: graph.input("x", { dtype: "float32", shape: [1, 4, 5, 6] }) };
}

it("folds into conv2d, with groups too", () => {
  const { graph, x } = start();
  give(graph, batchNorm(graph, conv(graph, batchNorm(graph, conv(graph, x, 8)), 6, 2)));
  expect(applyAndCompare(graph, [foldBatchNorm])).toEqual([2]);
  expect(opsOf(graph)).toEqual(["conv2d", "conv2d"]);
});

it("folds into convTranspose2d with groups", () => {
  const { graph, x } = start();
  const weight = graph.constant(Tensor.randn([4, 3, 2, 2], { seed: 1 }), "w");
  const attrs = {
    ...window,
    stride: [2, 2],
    padding: [0, 0, 0, 0],
    outputPadding: [0, 0],
    groups: 2,
  };
  give(graph, batchNorm(graph, graph.add(op("convTranspose2d"), [x, weight], attrs)[0]));
  expect(applyAndCompare(graph, [foldBatchNorm])).toEqual([1]);
});

it("a batchNorm without a product takes in what scales and shifts after it", () => {
  const { graph, x } = start();
  let y = batchNorm(graph, x);
  for (const name of ["mul", "add"])
    y = graph.add(op(name), [y, graph.constant(Tensor.rand([4, 1, 1], { seed: 9 }), name)], {})[0];
  give(graph, y);
  expect(applyAndCompare(graph, [foldBatchNorm])).toEqual([2]);
  expect(opsOf(graph)).toEqual(["batchNorm"]);
});

it("folds mul, add, sub and div by a number per channel or one for all", () => {
  const { graph, x } = start();
  let y = conv(graph, x, 8);
  for (const name of ["mul", "add", "sub", "div"]) {
    const number = Tensor.rand(name === "sub" ? [] : [8, 1, 1], { seed: 9 });
    y = graph.add(op(name), [y, graph.constant(number)], {})[0];
  }
  give(graph, y);
  expect(applyAndCompare(graph, [foldBatchNorm])).toEqual([4]);
  expect(opsOf(graph)).toEqual(["conv2d"]);
});

it("leaves a product that others read, or that is given", () => {
  for (const share of ["read", "given"]) {
    const { graph, x } = start();
    const y = conv(graph, x, 8);
    const other = share === "read" ? graph.add(op("relu"), [y], {})[0] : y;
    give(graph, batchNorm(graph, y), other);
    expect(applyAndCompare(graph, [foldBatchNorm])).toEqual([0]);
  }
});

it("leaves a product with a second reader, also after the first was folded", () => {
  const { graph, x } = start();
  const shared = conv(graph, x, 8);
  const first = batchNorm(graph, conv(graph, shared, 8));
  give(graph, first, batchNorm(graph, shared));
  expect(applyAndCompare(graph, [foldBatchNorm])).toEqual([1]);
  expect(opsOf(graph)).toEqual(["conv2d", "conv2d", "batchNorm"]);
});

it("leaves number - product and number / product", () => {
  const { graph, x } = start();
  const y = conv(graph, x, 8);
  const one = graph.constant(Tensor.full([], 1));
  give(graph, graph.add(op("sub"), [one, y], {})[0]);
  expect(applyAndCompare(graph, [foldBatchNorm])).toEqual([0]);
});
