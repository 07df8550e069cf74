/** Graphs for tests: run one on the reference, and check that a pass changes a graph but not what it means. */
import { expect } from "vitest";
import type { Target } from "../../src/core/backend.js";
import { Tensor } from "../../src/core/tensor.js";
import type { Graph, Value } from "../../src/graph/graph.js";
import type { Pass } from "../../src/graph/passes/index.js";
import { verifyGraph } from "../../src/graph/verify.js";
import { expectClose, magnitude } from "./compare.js";

/** Runs a graph node by node through op.reference: no plan, no backend. */
export function runGraph(graph: Graph, inputs: readonly Tensor[]): Tensor[] {
  const data = new Map<Value, Tensor>(graph.inputs.map((value, i) => [value, inputs[i]]));
  const tensorOf = (value: Value): Tensor => {
    const tensor = value.constant ?? data.get(value);
    if (!tensor) throw new Error(`"${value.name}" is read before it is made`);
    return tensor;
  };
  for (const node of graph.nodes) {
    const outputs = node.outputs.map(({ type }) => Tensor.zeros(type.shape, type.dtype));
    node.op.reference(node.inputs.map(tensorOf), node.attrs, outputs);
    node.outputs.forEach((value, i) => {
      data.set(value, outputs[i]);
    });
  }
  return graph.outputs.map(({ value }) => tensorOf(value));
}

/** Random inputs of a graph. */
export const randomInputs = (graph: Graph, seed = 1): Tensor[] =>
  graph.inputs.map(({ type }, i) => Tensor.randn(type.shape, { seed: seed + i }));

/** The names of the ops, in order: what a test of a pass looks at. */
export const opsOf = (graph: Graph): string[] => graph.nodes.map(({ op }) => op.name);

/**
 * Applies passes and checks after each that the graph is whole and that its results are what they were.
 *
 * @returns the rewrites of each pass
 */
export function applyAndCompare(
  graph: Graph,
  passes: readonly Pass[],
  target: Target = { blocked: true },
): number[] {
  const inputs = randomInputs(graph);
  const before = runGraph(graph, inputs).map((t) => t.clone());
  verifyGraph(graph);
  return passes.map((pass) => {
    const changes = pass.apply(graph, target);
    verifyGraph(graph);
    const after = runGraph(graph, inputs);
    expect(after.length).toBe(before.length);
    // Folded weights are rounded once more: a few units in the last of 24 bits, relative to the largest result.
    after.forEach((t, i) => {
      expectClose(t, before[i], { rtol: 1e-5, atol: 1e-5 }, magnitude(before[i]));
    });
    return changes;
  });
}
