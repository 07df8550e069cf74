/** Pieces of graphs that tests of passes are made of. */
import { Tensor } from "../../../src/core/tensor.js";
import { Graph, type Value } from "../../../src/graph/graph.js";
import { ops } from "../../../src/ops/index.js";

export const op = (name: string) => ops.get(name) as NonNullable<ReturnType<typeof ops.get>>;

/** A graph with one input. */
export function start(shape = [1, 4, 5, 6]): { graph: Graph; x: Value } {
  const graph = new Graph();
  return { graph, x: graph.input("x", { dtype: "float32", shape }) };
}

export const give = (graph: Graph, ...values: Value[]): void => {
  graph.outputs = values.map((value, i) => ({ name: `y${i}`, value }));
};

/** What an op with one result makes. */
export const one = (graph: Graph, name: string, inputs: Value[], attrs: object = {}): Value =>
  graph.add(op(name), inputs, attrs)[0];

/** A constant of random numbers between 0 and 1. */
export const random = (graph: Graph, shape: number[], seed = 5): Value =>
  graph.constant(Tensor.rand(shape, { seed }));

export function conv(
  graph: Graph,
  x: Value,
  channels: number,
  { groups = 1, padding = 0 } = {},
): Value {
  const shape = [channels, x.type.shape[1] / groups, 3, 3];
  const inputs = [x, graph.constant(Tensor.randn(shape, { seed: 3 }), "w")];
  const sides = [padding, padding, padding, padding];
  const attrs = { stride: [1, 1], padding: sides, dilation: [1, 1], groups };
  return graph.add(op("conv2d"), inputs, attrs)[0];
}

export function batchNorm(graph: Graph, x: Value): Value {
  const c = x.type.shape[1];
  const numbers = [4, 5, 6, 7].map((seed) =>
    graph.constant(seed === 7 ? Tensor.rand([c], { seed }) : Tensor.randn([c], { seed }), "bn"),
  );
  return graph.add(op("batchNorm"), [x, ...numbers], { eps: 1e-3 })[0];
}

/** An image and a constant, one number per channel unless a shape says otherwise. */
export function perChannel(
  graph: Graph,
  name: string,
  x: Value,
  shape = [x.type.shape[1], 1, 1],
): Value {
  return graph.add(op(name), [x, graph.constant(Tensor.rand(shape, { seed: 9 }))], {})[0];
}
