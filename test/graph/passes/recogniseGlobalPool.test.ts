/** recogniseGlobalPool: which reductions and pools are global pools. */
import { expect, it } from "vitest";
import { recogniseGlobalPool } from "../../../src/graph/passes/recogniseGlobalPool.js";
import { applyAndCompare, opsOf } from "../../support/graphs.js";
import { give, op, start } from "./build.js";

const window = { stride: [1, 1], dilation: [1, 1], ceilMode: false, countIncludePad: false };

it.each([
  ["reduceMean", { axes: [2, 3], keepDims: true }, ["globalAvgPool"]],
  ["reduceMean", { axes: [3, 2], keepDims: false }, ["globalAvgPool", "reshape"]],
  ["reduceMax", { axes: [2, 3], keepDims: true }, ["globalMaxPool"]],
  ["reduceMean", { axes: [1, 2], keepDims: true }, ["reduceMean"]],
  ["reduceSum", { axes: [2, 3], keepDims: true }, ["reduceSum"]],
  [
    "avgPool2d",
    { ...window, kernel: [5, 6], padding: [0, 0, 0, 0], divisorOverride: 0 },
    ["globalAvgPool"],
  ],
  [
    "avgPool2d",
    { ...window, kernel: [5, 6], padding: [0, 0, 0, 0], divisorOverride: 7 },
    ["avgPool2d"],
  ],
  [
    "avgPool2d",
    { ...window, kernel: [5, 6], padding: [1, 0, 1, 0], divisorOverride: 0 },
    ["avgPool2d"],
  ],
  [
    "avgPool2d",
    { ...window, kernel: [5, 5], padding: [0, 0, 0, 0], divisorOverride: 0 },
    ["avgPool2d"],
  ],
])("%s %o", (name, attrs, expected) => {
  const { graph, x } = start();
  give(graph, graph.add(op(name), [x], attrs)[0]);
  applyAndCompare(graph, [recogniseGlobalPool]);
  expect(opsOf(graph)).toEqual(expected);
});
