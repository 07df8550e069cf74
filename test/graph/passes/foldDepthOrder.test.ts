/** foldDepthOrder: the channels of a convolution in the order in which they become pixels. */
import { expect, it } from "vitest";
import type { Graph, Value } from "../../../src/graph/graph.js";
import { foldDepthOrder } from "../../../src/graph/passes/foldDepthOrder.js";
import { applyAndCompare } from "../../support/graphs.js";
import { conv, give, one, random, start } from "./build.js";

const shuffled = (graph: Graph, x: Value, mode = "CRD"): Value =>
  one(graph, "depthToSpace", [x], { blockSize: 2, mode });

it("blocks of channels are made as they are read", () => {
  const { graph, x } = start();
  give(graph, shuffled(graph, conv(graph, x, 36)));
  expect(applyAndCompare(graph, [foldDepthOrder])).toEqual([1]);
  expect(graph.nodes[1].attrs).toEqual({ blockSize: 2, mode: "DCR" });
});

it("with a bias too", () => {
  const { graph, x } = start();
  const attrs = { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 };
  const inputs = [x, random(graph, [32, 4, 2, 2]), random(graph, [32], 6)];
  give(graph, shuffled(graph, one(graph, "conv2d", inputs, attrs)));
  expect(applyAndCompare(graph, [foldDepthOrder])).toEqual([1]);
});

it.each<[string, (graph: Graph, x: Value) => Value[]]>([
  ["groups", (g, x) => [shuffled(g, conv(g, x, 32, { groups: 2 }))]],
  ["the order of DCR", (g, x) => [shuffled(g, conv(g, x, 32), "DCR")]],
  ["few channels, which stay planes", (g, x) => [shuffled(g, conv(g, x, 16))]],
  ["an op in between", (g, x) => [shuffled(g, one(g, "relu", [conv(g, x, 32)]))]],
  [
    "channels that others read as they are",
    (g, x) => {
      const y = conv(g, x, 32);
      return [y, shuffled(g, y)];
    },
  ],
])("not with %s", (_, make) => {
  const { graph, x } = start();
  give(graph, ...make(graph, x));
  expect(applyAndCompare(graph, [foldDepthOrder])).toEqual([0]);
});
