/** combineAffine: chains of scales and shifts become one batchNorm. */
import { expect, it } from "vitest";
import { combineAffine } from "../../../src/graph/passes/combineAffine.js";
import { fuseActivation, fuseAdd } from "../../../src/graph/passes/fuse.js";
import { applyAndCompare, opsOf } from "../../support/graphs.js";
import { batchNorm, give, op, perChannel, start } from "./build.js";

it("combines a chain, and keeps the activation of its last link", () => {
  const { graph, x } = start();
  let y = batchNorm(graph, x);
  for (const name of ["mul", "add", "sub", "div"]) y = perChannel(graph, name, y);
  give(graph, graph.add(op("relu"), [y], {})[0]);
  expect(applyAndCompare(graph, [fuseActivation, combineAffine])).toEqual([1, 1]);
  expect(opsOf(graph)).toEqual(["batchNorm"]);
  expect(graph.nodes[0].attrs).toEqual({ eps: 0, activation: { kind: "relu" } });
});

it("makes a batchNorm of one number per channel, not of one for all", () => {
  const { graph, x } = start();
  give(graph, perChannel(graph, "mul", x), perChannel(graph, "mul", x, []));
  expect(applyAndCompare(graph, [combineAffine])).toEqual([1]);
  expect(opsOf(graph)).toEqual(["batchNorm", "mul"]);
});

it("leaves a product that a sum was fused into", () => {
  const { graph, x } = start();
  give(graph, graph.add(op("add"), [perChannel(graph, "mul", x), x], {})[0]);
  expect(applyAndCompare(graph, [fuseAdd, combineAffine])).toEqual([1, 0]);
});

it("stops at an activation, and at what others read or what is given", () => {
  for (const between of ["activation", "reader", "output"]) {
    const { graph, x } = start();
    const y = batchNorm(graph, x);
    const z = between === "activation" ? graph.add(op("relu"), [y], {})[0] : y;
    const others = between === "reader" ? [graph.add(op("tanh"), [y], {})[0]] : [y];
    give(graph, perChannel(graph, "add", z), ...(between === "activation" ? [] : others));
    applyAndCompare(graph, [fuseActivation, combineAffine]);
    expect(opsOf(graph).filter((name) => name === "batchNorm")).toHaveLength(2);
  }
});
