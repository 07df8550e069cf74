/** foldAffineAhead: what it folds into the weights that follow, and what it must leave. */
import { expect, it } from "vitest";
import { Tensor } from "../../../src/core/tensor.js";
import type { Graph, Value } from "../../../src/graph/graph.js";
import { foldAffineAhead } from "../../../src/graph/passes/foldAffineAhead.js";
import { fuseAdd } from "../../../src/graph/passes/fuse.js";
import { applyAndCompare, opsOf } from "../../support/graphs.js";
import { batchNorm, conv, give, op, perChannel, start } from "./build.js";

it("folds a chain into conv2d, with groups too", () => {
  for (const groups of [1, 2]) {
    const { graph, x } = start();
    const y = perChannel(graph, "add", perChannel(graph, "mul", batchNorm(graph, x)));
    give(graph, conv(graph, y, 6, { groups }));
    expect(applyAndCompare(graph, [foldAffineAhead])).toEqual([3]);
    expect(opsOf(graph)).toEqual(["conv2d"]);
  }
});

it("folds into padded convolutions what only scales", () => {
  const { graph, x } = start();
  give(graph, conv(graph, perChannel(graph, "mul", x), 6, { padding: 1 }));
  expect(applyAndCompare(graph, [foldAffineAhead])).toEqual([1]);
});

it("folds into a convolution that adds a residual", () => {
  const { graph, x } = start();
  const y = perChannel(graph, "mul", graph.add(op("relu"), [x], {})[0]);
  const sum = graph.add(op("add"), [conv(graph, x, 4), conv(graph, y, 4)], {})[0];
  give(graph, sum);
  expect(applyAndCompare(graph, [fuseAdd, foldAffineAhead])).toEqual([1, 1]);
  expect(opsOf(graph)).toEqual(["relu", "conv2d", "conv2d"]);
});

const left: Readonly<Record<string, (graph: Graph, x: Value) => Value[]>> = {
  "a shift in front of padding": (graph, x) => [
    conv(graph, batchNorm(graph, x), 6, { padding: 1 }),
  ],
  "what others read": (graph, x) => {
    const y = batchNorm(graph, x);
    return [conv(graph, y, 6), graph.add(op("relu"), [y], {})[0]];
  },
  "what is given": (graph, x) => {
    const y = batchNorm(graph, x);
    return [conv(graph, y, 6), y];
  },
  "an activation in between": (graph, x) => [
    conv(graph, graph.add(op("relu"), [batchNorm(graph, x)], {})[0], 6),
  ],
  "what is the residual, too": (graph, x) => {
    const y = perChannel(graph, "mul", x);
    return [graph.add(op("add"), [conv(graph, y, 4, { padding: 1 }), y], {})[0]];
  },
  "number / image": (graph, x) => {
    const one = graph.constant(Tensor.full([], 1));
    return [conv(graph, graph.add(op("div"), [one, x], {})[0], 6)];
  },
};

it.each(Object.keys(left))("leaves %s", (name) => {
  const { graph, x } = start();
  give(graph, ...left[name](graph, x));
  fuseAdd.apply(graph);
  expect(applyAndCompare(graph, [foldAffineAhead])).toEqual([0]);
});
