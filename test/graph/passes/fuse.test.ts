/** fuseAdd and fuseActivation on ops that are no products; fuseScale. */
import { describe, expect, it } from "vitest";
import { Tensor } from "../../../src/core/tensor.js";
import { Graph, type Value } from "../../../src/graph/graph.js";
import { fuseActivation, fuseAdd, fuseScale } from "../../../src/graph/passes/fuse.js";
import { applyAndCompare, opsOf } from "../../support/graphs.js";
import { batchNorm, conv, give, one, op } from "./build.js";

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

describe("fuseScale", () => {
  type Build = (
    graph: Graph,
    y: Value,
    number: (value: number, shape?: number[]) => Value,
  ) => Value;
  function scaled(build: Build, dtype: "float32" | "int32" = "float32") {
    const { graph, x } = start(dtype);
    const y = one(graph, "matmul", [x, graph.input("w", { dtype, shape: [6, 7] })]);
    const number = (value: number, shape: number[] = []) =>
      graph.constant(Tensor.full(shape, value, dtype));
    give(graph, build(graph, y, number));
    return graph;
  }

  it.each<[string, number, Build]>([
    ["times", 0.25, (graph, y, number) => one(graph, "mul", [y, number(0.25)])],
    ["a number times", 3, (graph, y, number) => one(graph, "mul", [number(3, [1, 1]), y])],
    ["by", 0.5, (graph, y, number) => one(graph, "div", [y, number(2)])],
  ])("%s", (_, alpha, build) => {
    const graph = scaled(build);
    expect(applyAndCompare(graph, [fuseScale])).toEqual([1]);
    expect(graph.nodes.map(({ attrs }) => attrs)).toEqual([{ alpha }]);
  });

  it("two in a row", () => {
    const graph = scaled((graph, y, number) =>
      one(graph, "div", [one(graph, "mul", [y, number(3)]), number(4)]),
    );
    expect(applyAndCompare(graph, [fuseScale])).toEqual([2]);
    expect(graph.nodes.map(({ attrs }) => attrs)).toEqual([{ alpha: 0.75 }]);
  });

  it("two in a row whose product is no float32: the first", () => {
    const graph = scaled((graph, y, number) =>
      one(graph, "mul", [one(graph, "mul", [y, number(1e30)]), number(1e30)]),
    );
    expect(fuseScale.apply(graph)).toBe(1);
  });

  it.each<[string, Build]>([
    ["a number divided by it", (graph, y, number) => one(graph, "div", [number(2), y])],
    ["divided by 0", (graph, y, number) => one(graph, "div", [y, number(0)])],
    [
      "numbers per column",
      (graph, y) => one(graph, "mul", [y, graph.constant(Tensor.rand([7], { seed: 1 }))]),
    ],
    ["broadcast", (graph, y, number) => one(graph, "mul", [y, number(2, [1, 1, 1, 1, 1])])],
    ["read twice", (graph, y, number) => one(graph, "add", [y, one(graph, "mul", [y, number(2)])])],
    [
      "with an activation",
      (graph, y, number) => one(graph, "mul", [y, number(2)], { activation: { kind: "relu" } }),
    ],
  ])("not: %s", (_, build) => {
    expect(fuseScale.apply(scaled(build))).toBe(0);
  });

  it("not: integers", () => {
    expect(
      fuseScale.apply(scaled((graph, y, number) => one(graph, "mul", [y, number(2)]), "int32")),
    ).toBe(0);
  });
});
