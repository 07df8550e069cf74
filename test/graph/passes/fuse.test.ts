/** fuseAdd and fuseActivation on ops that are no products. */
import { expect, it } from "vitest";
import { Tensor } from "../../../src/core/tensor.js";
import { Graph, type Value } from "../../../src/graph/graph.js";
import { fuseActivation, fuseAdd } from "../../../src/graph/passes/fuse.js";
import { applyAndCompare, opsOf } from "../../support/graphs.js";
import { batchNorm, conv, give, op } from "./build.js";

function start(dtype: "float32" | "int32" = "float32"): { graph: Graph; x: Value } {
  const graph = new Graph();
  return { graph, x: graph.input("x", { dtype, shape: [1, 4, 5, 6] }) };
}

it("a product with a number per channel takes in the sum and the activation after it", () => {
  const { graph, x } = start();
  const gate = graph.constant(Tensor.randn([1, 4, 1, 1], { seed: 2 }), "gate");
  const [gated] = graph.add(op("mul"), [x, gate], {});
  const [sum] = graph.add(op("add"), [x, gated], {});
  give(graph, graph.add(op("relu"), [sum], {})[0]);
  expect(applyAndCompare(graph, [fuseAdd, fuseActivation])).toEqual([1, 1]);
  expect(opsOf(graph)).toEqual(["mul"]);
});

it("slopes per channel go into conv2d, one for all into any product, others nowhere", () => {
  for (const { slopes, by, changes } of [
    { slopes: [8, 1, 1], by: "conv2d", changes: 1 },
    { slopes: [1, 8, 1, 1], by: "conv2d", changes: 1 },
    { slopes: [1], by: "conv2d", changes: 1 },
    { slopes: [8, 3, 4], by: "conv2d", changes: 0 },
    { slopes: [4], by: "conv2d", changes: 0 },
    { slopes: [8, 1, 1], by: "batchNorm", changes: 0 },
  ]) {
    const { graph, x } = start();
    const y = conv(graph, x, 8);
    const z = by === "conv2d" ? y : batchNorm(graph, graph.add(op("relu"), [y], {})[0]);
    const constant = graph.constant(Tensor.randn(slopes, { seed: 5 }), "slopes");
    give(graph, graph.add(op("prelu"), [z, constant], {})[0]);
    expect(applyAndCompare(graph, [fuseActivation]), `${by} (${slopes})`).toEqual([
      by === "conv2d" ? changes : 1,
    ]);
    expect(opsOf(graph).includes("prelu")).toBe(changes === 0);
  }
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
