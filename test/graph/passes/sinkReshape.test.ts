import { expect, it } from "vitest";
import type { Graph, Value } from "../../../src/graph/graph.js";
import { removeDead } from "../../../src/graph/passes/removeDead.js";
import { removeNoOps } from "../../../src/graph/passes/removeNoOps.js";
import { sinkReshape } from "../../../src/graph/passes/sinkReshape.js";
import { applyAndCompare, opsOf } from "../../support/graphs.js";
import { give, one, random, start } from "./build.js";

/** A convolution of a signal as the importer writes it. */
function conv1d(graph: Graph, x: Value, channels = 4): Value {
  const [n, c, length] = x.type.shape;
  const image = one(graph, "reshape", [x], { shape: [n, c, 1, length] });
  const attrs = { stride: [1, 1], padding: [0, 1, 0, 1], dilation: [1, 1], groups: 1 };
  const y = one(graph, "conv2d", [image, random(graph, [channels, c, 1, 3], 3)], attrs);
  return one(graph, "reshape", [y], { shape: [n, channels, length] });
}
const signal = () => start([2, 4, 7]);

/** What may stand between two convolutions of 4 channels, of 7 or other numbers. */
const between: Record<string, (graph: Graph, x: Value) => Value> = {
  relu: (graph, x) => one(graph, "relu", [x]),
  "a number": (graph, x) => one(graph, "mul", [random(graph, []), x]),
  "a number per channel": (graph, x) => one(graph, "add", [x, random(graph, [4, 1])]),
  "a number per channel, with all axes": (graph, x) =>
    one(graph, "mul", [x, random(graph, [1, 4, 1])]),
  "a number per place": (graph, x) => one(graph, "add", [x, random(graph, [7])]),
  "a number per image": (graph, x) => one(graph, "add", [x, random(graph, [2, 1, 1])]),
  batchNorm: (graph, x) =>
    one(graph, "batchNorm", [x, ...[1, 2, 3, 4].map((seed) => random(graph, [4], seed))], {
      eps: 1e-3,
    }),
  instanceNorm: (graph, x) =>
    one(graph, "instanceNorm", [x, random(graph, [4]), random(graph, [4], 6)], { eps: 1e-3 }),
  "two convolutions": (graph, x) => one(graph, "add", [x, one(graph, "relu", [conv1d(graph, x)])]),
  "a gate": (graph, x) => {
    const mean = one(graph, "globalAvgPool", [x]);
    return one(graph, "mul", [x, one(graph, "sigmoid", [mean])]);
  },
  "a pad": (graph, x) =>
    one(graph, "pad", [x], { pads: [0, 0, 2, 0, 1, -1], mode: "constant", value: 1 }),
  "a concatenation": (graph, x) => one(graph, "concat", [x, conv1d(graph, x, 3)], { axis: 1 }),
};

it.each(Object.entries(between))("%s between convolutions of signals", (_, add) => {
  const { graph, x } = signal();
  give(graph, conv1d(graph, add(graph, conv1d(graph, x))));
  applyAndCompare(graph, [sinkReshape, removeNoOps, removeDead]);
  const reshapes = opsOf(graph).filter((name) => name === "reshape");
  expect(reshapes).toHaveLength(2);
  expect([opsOf(graph).at(0), opsOf(graph).at(-1)]).toEqual(["reshape", "reshape"]);
});

it("what is not for images of one row keeps its reshape", () => {
  const others: Record<string, (graph: Graph, y: Value, x: Value) => Value> = {
    "a signal beside": (graph, y, x) => one(graph, "add", [y, x]),
    "another axis": (graph, y) => one(graph, "concat", [y, y], { axis: 2 }),
    "more rows": (graph, y) => {
      const image = one(graph, "reshape", [y], { shape: [2, 4, 7, 1] });
      return one(graph, "relu", [one(graph, "reshape", [image], { shape: [2, 4, 7] })]);
    },
  };
  for (const other of Object.values(others)) {
    const { graph, x } = signal();
    give(graph, other(graph, conv1d(graph, x), x));
    const before = opsOf(graph);
    applyAndCompare(graph, [sinkReshape]);
    expect(opsOf(graph)).toEqual(before);
  }
});
