/** fuseAdd and fuseActivation on ops that are no products, and recogniseGlobalPool. */
import { expect, it } from "vitest";
import { Tensor } from "../../../src/core/tensor.js";
import { Graph, type Value } from "../../../src/graph/graph.js";
import { fuseActivation, fuseAdd } from "../../../src/graph/passes/fuse.js";
import { recogniseGlobalPool } from "../../../src/graph/passes/recogniseGlobalPool.js";
import { ops } from "../../../src/ops/index.js";
import { applyAndCompare, opsOf } from "../../support/graphs.js";

const op = (name: string) => ops.get(name) as NonNullable<ReturnType<typeof ops.get>>;

function start(dtype: "float32" | "int32" = "float32"): { graph: Graph; x: Value } {
  const graph = new Graph();
  return { graph, x: graph.input("x", { dtype, shape: [1, 4, 5, 6] }) };
}

const give = (graph: Graph, ...values: Value[]): void => {
  graph.outputs = values.map((value, i) => ({ name: `y${i}`, value }));
};

it("a product with a number per channel takes in the sum and the activation after it", () => {
  const { graph, x } = start();
  const gate = graph.constant(Tensor.randn([1, 4, 1, 1], { seed: 2 }), "gate");
  const [gated] = graph.add(op("mul"), [x, gate], {});
  const [sum] = graph.add(op("add"), [x, gated], {});
  give(graph, graph.add(op("relu"), [sum], {})[0]);
  expect(applyAndCompare(graph, [fuseAdd, fuseActivation])).toEqual([1, 1]);
  expect(opsOf(graph)).toEqual(["mul"]);
});

it("integers stay as they are", () => {
  const { graph, x } = start("int32");
  const [square] = graph.add(op("mul"), [x, x], {});
  give(graph, graph.add(op("add"), [square, x], {})[0]);
  expect(fuseAdd.apply(graph)).toBe(0);
});

it("a sum that the product is broadcast to stays a node of its own", () => {
  const { graph, x } = start();
  const one = graph.input("one", { dtype: "float32", shape: [1, 4, 1, 1] });
  const [square] = graph.add(op("mul"), [one, one], {});
  give(graph, graph.add(op("add"), [square, x], {})[0]);
  expect(applyAndCompare(graph, [fuseAdd])).toEqual([0]);
});

it("means over rows and columns become pools, others not", () => {
  const { graph, x } = start();
  const reduce = (name: string, axes: number[], keepDims: boolean): Value =>
    graph.add(op(name), [x], { axes, keepDims })[0];
  const kept = reduce("reduceMean", [2, 3], true);
  const dropped = reduce("reduceMax", [3, 2], false);
  give(graph, kept, dropped, reduce("reduceMean", [1, 2], true), reduce("reduceSum", [2, 3], true));
  expect(applyAndCompare(graph, [recogniseGlobalPool])).toEqual([2]);
  expect(opsOf(graph)).toEqual([
    "globalAvgPool",
    "globalMaxPool",
    "reshape",
    "reduceMean",
    "reduceSum",
  ]);
});
