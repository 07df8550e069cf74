/** What passes that look for patterns ask of values. */
import { sameShape, sizeOf } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";
import type { Graph, Node, Value } from "./graph.js";

/** The number that a float32 constant of one element holds. */
export const scalarOf = ({ constant }: Value): number | undefined =>
  constant?.size === 1 && constant.dtype === "float32" ? (constant.data[0] as number) : undefined;

/** The node that makes a value, if it is this op and does nothing else to its result. */
export const madeBy = (v: Value | undefined, name: string): Node | undefined =>
  v?.producer?.op.name === name && !("activation" in v.producer.attrs) ? v.producer : undefined;

/** What alone reads a value and the constant, if it is this operation (mul or add) with a constant of a shape, ones before it left out or not. */
function affineReader(
  graph: Graph,
  v: Value,
  name: string,
  shape: readonly number[],
): [Node, Tensor] | undefined {
  const [reader] = v.readers;
  if (!graph.isReadOnce(v) || reader.op.name !== name || "activation" in reader.attrs) return;
  const constant = reader.inputs.find((operand) => operand !== v)?.constant;
  if (constant?.size !== sizeOf(shape) || !sameShape(reader.outputs[0].type.shape, v.type.shape))
    return;
  return sameShape(constant.shape.slice(-shape.length), shape) ? [reader, constant] : undefined;
}

/** The scale and the bias, constants of a shape, that alone follow a node, each there or not; and the last of these nodes. */
export function affineBehind(
  graph: Graph,
  node: Node,
  shape: readonly number[],
): { last: Node; scale?: Tensor; bias?: Tensor } {
  let last = node;
  const next = (name: string): Tensor | undefined => {
    const [reader, constant] = affineReader(graph, last.outputs[0], name, shape) ?? [];
    if (reader) last = reader;
    return constant;
  };
  const scale = next("mul");
  const bias = next("add");
  return { last, scale, bias };
}
