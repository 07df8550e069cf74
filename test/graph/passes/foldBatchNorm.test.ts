/** foldBatchNorm: what it folds, and what it must leave. */
import { expect, it } from "vitest";
import { Tensor } from "../../../src/core/tensor.js";
import { foldBatchNorm } from "../../../src/graph/passes/foldBatchNorm.js";
import { applyAndCompare, opsOf } from "../../support/graphs.js";
import { batchNorm, conv, give, op, start } from "./build.js";

it("folds into conv2d, with groups too", () => {
  const { graph, x } = start();
  give(graph, batchNorm(graph, conv(graph, batchNorm(graph, conv(graph, x, 8)), 6, { groups: 2 })));
  expect(applyAndCompare(graph, [foldBatchNorm])).toEqual([2]);
  expect(opsOf(graph)).toEqual(["conv2d", "conv2d"]);
});

it("folds into convTranspose2d with groups", () => {
  const { graph, x } = start();
  const weight = graph.constant(Tensor.randn([4, 3, 2, 2], { seed: 1 }), "w");
  const attrs = {
    stride: [2, 2],
    padding: [0, 0, 0, 0],
    dilation: [1, 1],
    outputPadding: [0, 0],
    groups: 2,
  };
  give(graph, batchNorm(graph, graph.add(op("convTranspose2d"), [x, weight], attrs)[0]));
  expect(applyAndCompare(graph, [foldBatchNorm])).toEqual([1]);
});

it("folds mul, add, sub and div by a number per channel or one for all", () => {
  const { graph, x } = start();
  let y = conv(graph, x, 8);
  for (const name of ["mul", "add", "sub", "div"]) {
    const number = Tensor.rand(name === "sub" ? [] : [8, 1, 1], { seed: 9 });
    y = graph.add(op(name), [y, graph.constant(number)], {})[0];
  }
  give(graph, y);
  expect(applyAndCompare(graph, [foldBatchNorm])).toEqual([4]);
  expect(opsOf(graph)).toEqual(["conv2d"]);
});

it("folds into linear, along its last axis", () => {
  for (const shape of [
    [6, 6],
    [2, 6, 6],
  ]) {
    const { graph, x } = start(shape);
    const inputs = [x, graph.constant(Tensor.randn([6, 6], { seed: 3 }), "w")];
    let y = graph.add(op("linear"), inputs, {})[0];
    for (const name of ["add", "mul"]) y = graph.add(op(name), [y, perChannel([6])], {})[0];
    // Along another axis, though it is as long.
    give(graph, graph.add(op("add"), [y, perChannel([6, 1])], {})[0]);
    expect(applyAndCompare(graph, [foldBatchNorm])).toEqual([2]);
    function perChannel(of: number[]) {
      return graph.constant(Tensor.rand(of, { seed: 4 }), "c");
    }
  }
});

it("leaves a product that others read, or that is given", () => {
  for (const share of ["read", "given"]) {
    const { graph, x } = start();
    const y = conv(graph, x, 8);
    const other = share === "read" ? graph.add(op("relu"), [y], {})[0] : y;
    give(graph, batchNorm(graph, y), other);
    expect(applyAndCompare(graph, [foldBatchNorm])).toEqual([0]);
  }
});

it("leaves a product with a second reader, also after the first was folded", () => {
  const { graph, x } = start();
  const shared = conv(graph, x, 8);
  const first = batchNorm(graph, conv(graph, shared, 8));
  give(graph, first, batchNorm(graph, shared));
  expect(applyAndCompare(graph, [foldBatchNorm])).toEqual([1]);
  expect(opsOf(graph)).toEqual(["conv2d", "conv2d", "batchNorm"]);
});

it("leaves number - product and number / product", () => {
  const { graph, x } = start();
  const y = conv(graph, x, 8);
  const one = graph.constant(Tensor.full([], 1));
  give(graph, graph.add(op("sub"), [one, y], {})[0]);
  expect(applyAndCompare(graph, [foldBatchNorm])).toEqual([0]);
});
