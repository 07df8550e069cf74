/** mergeEqual: what is the same is done once. */
import { expect, it } from "vitest";
import { fuseActivation } from "../../../src/graph/passes/fuse.js";
import { mergeEqual } from "../../../src/graph/passes/mergeEqual.js";
import { removeDead } from "../../../src/graph/passes/removeDead.js";
import { applyAndCompare, opsOf } from "../../support/graphs.js";
import { conv, give, op, start } from "./build.js";

it("merges an activation that each branch begins with, so that it goes into the product before it", () => {
  const { graph, x } = start();
  const y = conv(graph, x, 4);
  const branches = ["sigmoid", "tanh", "exp"].map((name) => {
    const z = graph.add(op("relu"), [y], {})[0];
    return graph.add(op(name), [z], {})[0];
  });
  give(graph, ...branches);
  expect(applyAndCompare(graph, [mergeEqual, fuseActivation])).toEqual([2, 1]);
  expect(opsOf(graph)).toEqual(["conv2d", "sigmoid", "tanh", "exp"]);
});

it("merges chains of what is the same", () => {
  const { graph, x } = start();
  const chain = () =>
    graph.add(op("exp"), [graph.add(op("leakyRelu"), [x], { negativeSlope: 0.5 })[0]], {})[0];
  give(graph, graph.add(op("mul"), [chain(), chain()], {})[0]);
  expect(applyAndCompare(graph, [mergeEqual, removeDead])).toEqual([2, 0]);
  expect(opsOf(graph)).toEqual(["leakyRelu", "exp", "mul"]);
});

it("keeps what has other attributes, other inputs or a name that is asked for", () => {
  const { graph, x } = start();
  const clip = (min: number, max: number) => graph.add(op("clip"), [x], { min, max })[0];
  const all = [
    clip(0, Number.POSITIVE_INFINITY),
    clip(Number.NEGATIVE_INFINITY, 0),
    clip(Number.NEGATIVE_INFINITY, -0),
    clip(0, 6),
  ].map((value) => graph.add(op("neg"), [value], {})[0]);
  give(graph, ...all, clip(0, 6));
  expect(applyAndCompare(graph, [mergeEqual])).toEqual([0]);
});
