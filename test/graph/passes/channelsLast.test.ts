/** recogniseLayerNorm, gelu of recogniseActivations, sinkTranspose: blocks that work with channels last. */
import { expect, it } from "vitest";
import { Tensor } from "../../../src/core/tensor.js";
import type { Graph, Value } from "../../../src/graph/graph.js";
import { recogniseActivations } from "../../../src/graph/passes/recogniseActivations.js";
import { recogniseLayerNorm } from "../../../src/graph/passes/recogniseLayerNorm.js";
import { removeDead } from "../../../src/graph/passes/removeDead.js";
import { sinkTranspose } from "../../../src/graph/passes/sinkTranspose.js";
import { applyAndCompare, opsOf } from "../../support/graphs.js";
import { conv, give, one, random, start } from "./build.js";

const number = (graph: Graph, value: number): Value => graph.constant(Tensor.full([], value));
const last = (graph: Graph, x: Value): Value =>
  one(graph, "transpose", [x], { perm: [0, 2, 3, 1] });
const first = (graph: Graph, x: Value): Value =>
  one(graph, "transpose", [x], { perm: [0, 3, 1, 2] });

function writtenNorm(graph: Graph, x: Value, { power = true, axes = [3], apart = x } = {}): Value {
  const mean = one(graph, "reduceMean", [x], { axes, keepDims: true });
  const d = one(graph, "sub", [apart, mean]);
  const squares = power ? one(graph, "pow", [d, number(graph, 2)]) : one(graph, "mul", [d, d]);
  const variance = one(graph, "reduceMean", [squares], { axes, keepDims: true });
  const sum = one(
    graph,
    "add",
    power ? [variance, number(graph, 1e-3)] : [number(graph, 1e-3), variance],
  );
  return one(graph, "div", [d, one(graph, "sqrt", [sum])]);
}

it.each([
  ["scale and bias", 2, ["layerNorm"]],
  ["scale", 1, ["layerNorm"]],
  ["neither", 0, ["layerNorm"]],
])("a norm of several nodes with %s", (_, parameters, expected) => {
  const { graph, x } = start();
  let y = writtenNorm(graph, x, { power: parameters !== 1 });
  if (parameters > 0) y = one(graph, "mul", [y, random(graph, [6])]);
  if (parameters > 1) y = one(graph, "add", [random(graph, [1, 1, 6]), y]);
  give(graph, y);
  applyAndCompare(graph, [recogniseLayerNorm, removeDead]);
  expect(opsOf(graph)).toEqual(expected);
});

it("a norm over two axes takes a scale of both; one of less stays what it is", () => {
  for (const [shape, expected] of [
    [[5, 6], ["layerNorm"]],
    [[6], ["layerNorm", "mul"]],
    [
      [4, 1, 1],
      ["layerNorm", "mul"],
    ],
  ] as const) {
    const { graph, x } = start();
    give(
      graph,
      one(graph, "mul", [writtenNorm(graph, x, { axes: [2, 3] }), random(graph, [...shape])]),
    );
    applyAndCompare(graph, [recogniseLayerNorm, removeDead]);
    expect(opsOf(graph)).toEqual(expected);
  }
});

it.each([
  ["scale and bias", [4, 1, 1], [1, 4, 1, 1], ["channelNorm"]],
  ["scale", [4, 1, 1], undefined, ["channelNorm"]],
  ["neither", undefined, undefined, ["channelNorm"]],
  ["a scale of other axes", [1, 5, 1], undefined, ["channelNorm", "mul"]],
])("a norm over the channels with %s", (_, scale, bias, expected) => {
  const { graph, x } = start([2, 4, 5, 6]);
  let y = writtenNorm(graph, x, { axes: [1] });
  if (scale) y = one(graph, "mul", [y, random(graph, scale)]);
  if (bias) y = one(graph, "add", [y, random(graph, bias)]);
  give(graph, y);
  applyAndCompare(graph, [recogniseLayerNorm, removeDead]);
  expect(opsOf(graph)).toEqual(expected);
});

it("what only looks like a norm stays", () => {
  const { graph, x } = start();
  const other = graph.input("other", x.type);
  give(
    graph,
    writtenNorm(graph, x, { apart: other }),
    ...[[2], []].map((axes) => writtenNorm(graph, x, { axes })),
  );
  const before = opsOf(graph);
  applyAndCompare(graph, [recogniseLayerNorm, removeDead]);
  expect(opsOf(graph)).toEqual(before);
});

/** x * (1 + erf(x / sqrt(2))) / 2, in the orders that exporters write. */
const gelus: Record<string, (graph: Graph, x: Value, factor?: number) => Value> = {
  "(x * share) * half": (graph, x, factor = Math.SQRT2) => {
    const erf = one(graph, "erf", [one(graph, "div", [x, number(graph, factor)])]);
    const share = one(graph, "add", [erf, number(graph, 1)]);
    return one(graph, "mul", [one(graph, "mul", [x, share]), number(graph, 0.5)]);
  },
  "(half * x) * share": (graph, x) => {
    const erf = one(graph, "erf", [one(graph, "mul", [x, number(graph, Math.SQRT1_2)])]);
    const share = one(graph, "add", [number(graph, 1), erf]);
    return one(graph, "mul", [one(graph, "mul", [number(graph, 0.5), x]), share]);
  },
  "x * (half * share)": (graph, x) => {
    const erf = one(graph, "erf", [one(graph, "div", [x, number(graph, Math.SQRT2)])]);
    const share = one(graph, "add", [erf, number(graph, 1)]);
    return one(graph, "mul", [x, one(graph, "mul", [share, number(graph, 0.5)])]);
  },
};
it.each(Object.entries(gelus))("gelu written as %s", (_, written) => {
  const { graph, x } = start();
  give(graph, written(graph, x));
  applyAndCompare(graph, [recogniseActivations, removeDead]);
  expect(opsOf(graph)).toEqual(["gelu"]);
});

it("another factor is no gelu", () => {
  const { graph, x } = start();
  give(graph, gelus["(x * share) * half"](graph, x, 2));
  applyAndCompare(graph, [recogniseActivations, removeDead]);
  expect(opsOf(graph)).not.toContain("gelu");
});

it("a long chain of products, each the square of the one before, is looked through at once", () => {
  const { graph, x } = start([1, 1, 1, 1]);
  let y = x;
  for (let i = 0; i < 200; i++) y = one(graph, "mul", [y, y]);
  give(graph, y);
  const began = performance.now();
  expect(recogniseActivations.apply(graph)).toBe(0);
  expect(performance.now() - began).toBeLessThan(2000);
});

const linear = (graph: Graph, x: Value, out: number, bias = true): Value => {
  const weight = random(graph, [out, x.type.shape.at(-1) as number], 6);
  return one(graph, "linear", bias ? [x, weight, random(graph, [out])] : [x, weight]);
};

it("a block with channels last becomes one with channels first", () => {
  const { graph, x } = start();
  const y = last(graph, conv(graph, x, 4, { padding: 1 }));
  const normed = one(graph, "layerNorm", [y, random(graph, [4])], { axis: 3, eps: 1e-3 });
  const wide = one(graph, "gelu", [linear(graph, normed, 16)], { approximate: "none" });
  const scaled = one(graph, "mul", [random(graph, [4]), linear(graph, wide, 4, false)]);
  give(graph, one(graph, "add", [first(graph, scaled), x]));
  applyAndCompare(graph, [sinkTranspose, removeDead]);
  expect(opsOf(graph)).toEqual(["conv2d", "channelNorm", "conv2d", "gelu", "conv2d", "mul", "add"]);
});

it("branches of such a block join with channels first; what has no counterpart keeps its transpose", () => {
  const { graph, x } = start();
  const [a, b] = [last(graph, x), last(graph, one(graph, "relu", [x]))];
  give(graph, first(graph, one(graph, "mul", [a, one(graph, "sigmoid", [b])])));
  applyAndCompare(graph, [sinkTranspose, removeDead]);
  expect(opsOf(graph)).toEqual(["relu", "sigmoid", "mul", "identity"]);

  for (const rest of [
    (g: Graph, v: Value) => one(g, "layerNorm", [v, random(g, [6, 4])], { axis: 2, eps: 1e-3 }),
    (g: Graph, v: Value) => one(g, "add", [v, random(g, [6, 1])]),
    (g: Graph, v: Value) => one(g, "softmax", [v], { axis: 3 }),
  ]) {
    const { graph, x } = start();
    const y = rest(graph, last(graph, x));
    give(graph, first(graph, y));
    const before = opsOf(graph);
    applyAndCompare(graph, [sinkTranspose, removeDead]);
    expect(opsOf(graph)).toEqual(before);
  }
});

it("a transposed image that is also asked for, or read twice, stays", () => {
  const { graph, x } = start();
  const y = last(graph, x);
  give(graph, one(graph, "relu", [y]), y);
  applyAndCompare(graph, [sinkTranspose, removeDead]);
  expect(opsOf(graph)).toEqual(["transpose", "relu"]);
});
