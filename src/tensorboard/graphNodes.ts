/** A Graph as nodes of TensorBoard's graph page: names fold at "/", shapes stand on the edges, parameters and attributes on the nodes. */
import { sizeOf } from "../core/shape.js";
import type { Graph, Node, Value } from "../graph/graph.js";
import type { GraphNode } from "./messages.js";

/** What the page takes as a name: its parser knows no other characters. */
const clean = (name: string): string =>
  name.replace(/^\/+/, "").replace(/[^A-Za-z0-9_./\\-]/g, "_") || "tensor";

export function graphNodes(graph: Graph): GraphNode[] {
  const names = new Map<Value, string>();
  const taken = new Set<string>();
  const nameOf = (value: Value): string => {
    const known = names.get(value);
    if (known !== undefined) return known;
    let name = clean(value.name);
    for (let i = 1; taken.has(name); i++) name = `${clean(value.name)}_${i}`;
    taken.add(name);
    names.set(value, name);
    return name;
  };
  const nodes: GraphNode[] = graph.inputs.map((value) => ({
    name: nameOf(value),
    op: "Input",
    inputs: [],
    shapes: [value.type.shape],
    attributes: {},
  }));
  for (const node of graph.nodes) {
    nodes.push({
      name: nameOf(node.outputs[0]),
      op: node.op.name,
      inputs: node.inputs
        .filter((v) => !v.constant)
        .map((v) => nameOf(v.producer ? v.producer.outputs[0] : v)),
      shapes: node.outputs.map(({ type }) => type.shape),
      attributes: attributesOf(node),
    });
  }
  graph.outputs.forEach(({ name, value }) => {
    const from = nameOf(value.producer ? value.producer.outputs[0] : value);
    nodes.push({
      name: `output/${clean(name)}`,
      op: "Output",
      inputs: [from],
      shapes: [value.type.shape],
      attributes: {},
    });
  });
  return nodes;
}

function attributesOf(node: Node): Record<string, string> {
  const constants = node.inputs.filter((v) => v.constant);
  const parameters = constants.reduce((sum, v) => sum + sizeOf(v.type.shape), 0);
  return {
    ...(parameters > 0
      ? {
          parameters: `${parameters}: ${constants.map((v) => `(${v.type.shape.join(", ")})`).join(" ")}`,
        }
      : {}),
    ...Object.fromEntries(
      Object.entries(node.attrs).map(([key, value]) => [key, JSON.stringify(value) ?? "undefined"]),
    ),
  };
}
