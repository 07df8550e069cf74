/**
 * Traces a function of tensors: runs it once, with every op that it calls recorded as a node. Tensors that it did not make (weights) become
 * constants.
 */
import { withRecorder } from "../core/dispatch.js";
import type { TypedArray } from "../core/dtype.js";
import { expected, TensorError } from "../core/errors.js";
import { Tensor } from "../core/tensor.js";
import { reshapeOp } from "../ops/data.js";
import { Graph, type Value } from "./graph.js";

/**
 * @param body    synchronous; its result is one tensor or several
 * @param inputs  example inputs with the names that they get
 * @throws {TensorError} if the result does not come from ops, or the body is asynchronous
 */
export function trace(
  body: (...inputs: Tensor[]) => Tensor | readonly Tensor[],
  inputs: readonly { name: string; tensor: Tensor }[],
): Graph {
  const graph = new Graph();
  const values = new Map<Tensor, Value>();
  // A view of a traced tensor (reshape, at) is another Tensor on the same memory; its data say where it came from.
  const byData = new Map<TypedArray, Value>();
  const remember = (tensor: Tensor, value: Value): void => {
    values.set(tensor, value);
    byData.set(tensor.data, value);
  };
  const valueFor = (tensor: Tensor): Value => {
    const known = values.get(tensor);
    if (known) return known;
    const shared = byData.get(tensor.data);
    const value = shared
      ? graph.add(reshapeOp, [shared], { shape: tensor.shape })[0]
      : graph.constant(tensor, "weight");
    values.set(tensor, value);
    return value;
  };
  for (const { name, tensor } of inputs) remember(tensor, graph.input(name, tensor));
  const recorder = {
    record: (
      op: Parameters<Graph["add"]>[0],
      from: readonly Tensor[],
      attrs: object,
      to: readonly Tensor[],
    ) => {
      const results = graph.add(op, from.map(valueFor), attrs);
      to.forEach((tensor, i) => {
        remember(tensor, results[i]);
      });
    },
  };
  const result = withRecorder(recorder, () => body(...inputs.map(({ tensor }) => tensor)));
  const results = result instanceof Tensor ? [result] : result;
  if (
    !Array.isArray(results) ||
    results.length === 0 ||
    !results.every((t) => t instanceof Tensor)
  ) {
    throw new TensorError(
      expected("compile", "a model that returns a tensor or an array of them", typeof result),
    );
  }
  graph.outputs = results.map((tensor, i) => ({
    name: results.length === 1 ? "output" : `output${i}`,
    value: valueFor(tensor),
  }));
  return graph;
}
