/**
 * Traces a function of tensors: runs it once, with every op that it calls recorded as a node. Tensors that it did not make (weights) become
 * constants.
 */
import { withRecorder } from "../core/dispatch.js";
import { expected, showShape, TensorError } from "../core/errors.js";
import { Tensor } from "../core/tensor.js";
import { reshapeOp, sliceOp } from "../ops/data.js";
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
  // A view of a traced tensor (reshape, at) is another Tensor on the same memory: the memory says where it came from.
  const byBuffer = new Map<ArrayBufferLike, Traced[]>();
  const remember = (tensor: Tensor, value: Value): void => {
    values.set(tensor, value);
    const { buffer } = tensor.data;
    byBuffer.set(buffer, [...(byBuffer.get(buffer) ?? []), { tensor, value }]);
  };
  const valueFor = (tensor: Tensor): Value => {
    const known = values.get(tensor);
    if (known) return known;
    const source = byBuffer.get(tensor.data.buffer)?.find((other) => overlap(other.tensor, tensor));
    const value = source ? viewOf(graph, source, tensor) : graph.constant(tensor, "weight");
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

interface Traced {
  readonly tensor: Tensor;
  readonly value: Value;
}

const endOf = ({ data }: Tensor): number => data.byteOffset + data.byteLength;

/** Two tensors on one buffer have bytes in common. */
const overlap = (a: Tensor, b: Tensor): boolean =>
  a.data.byteOffset < endOf(b) && b.data.byteOffset < endOf(a);

/** The value of a tensor that lies within a traced one: consecutive elements of it, under a shape of its own. */
function viewOf(graph: Graph, { tensor, value }: Traced, view: Tensor): Value {
  const start = (view.data.byteOffset - tensor.data.byteOffset) / tensor.data.BYTES_PER_ELEMENT;
  const within = start >= 0 && endOf(view) <= endOf(tensor);
  if (view.dtype !== tensor.dtype || !within || !Number.isInteger(start)) {
    throw new TensorError(
      expected(
        "compile",
        `views within a traced tensor, ${tensor.dtype} ${showShape(tensor.shape)}, and of its dtype`,
        `${view.dtype} ${showShape(view.shape)} across its memory`,
        "make it with an op",
      ),
    );
  }
  const reshape = (from: Value, shape: readonly number[]) =>
    graph.add(reshapeOp, [from], { shape })[0];
  if (view.size === tensor.size) return reshape(value, view.shape);
  const attrs = { starts: [start], sizes: [view.size], steps: [1] };
  return reshape(graph.add(sliceOp, [reshape(value, [tensor.size])], attrs)[0], view.shape);
}
