/**
 * The invariants of a graph. Every pass must leave them true; the tests check them after each one.
 */
import type { Layout } from "../core/backend.js";
import { XcorrError } from "../core/errors.js";
import { sameShape } from "../core/shape.js";
import { reorderOp } from "../ops/data.js";
import type { Graph, Node, Value } from "./graph.js";

/**
 * Throws unless
 *   - every value that a node reads, or that the graph gives, is an input, a constant or made by a node before
 *   - every value is made once, and knows by which node and which nodes read it
 *   - names are unique
 *   - the types of a node's outputs are what its op infers
 *   - inputs and outputs of the graph are plain; only a reorder reads one layout and makes the other
 */
export function verifyGraph(graph: Graph): void {
  const byName = new Map<string, Value>();
  const made = new Set<Value>();
  const make = (value: Value, producer: Node | undefined, where: string): void => {
    check(!made.has(value), where, `"${value.name}" to be made once`);
    check(value.producer === producer, where, `"${value.name}" to know its producer`);
    made.add(value);
  };
  const name = (value: Value, where: string): void => {
    const other = byName.get(value.name) ?? value;
    check(other === value, where, `the name "${value.name}" to be unique`);
    byName.set(value.name, value);
  };
  const read = (value: Value, where: string): void => {
    name(value, where);
    const there = value.constant !== undefined || made.has(value);
    check(there, where, `"${value.name}" to be made before it is read`);
  };

  for (const value of graph.inputs) {
    make(value, undefined, "graph input");
    name(value, "graph input");
  }
  for (const node of graph.nodes) {
    const where = `node "${node.name}" (${node.op.name})`;
    for (const value of node.inputs) read(value, where);
    for (const value of node.outputs) {
      make(value, node, where);
      name(value, where);
    }
    verifyTypes(node, where);
    verifyLayout(node, where);
  }
  verifyReaders(graph);
  for (const output of graph.outputs) {
    const where = `graph output "${output.name}"`;
    read(output.value, where);
  }
}

function check(holds: boolean, where: string, what: string): asserts holds {
  if (!holds) throw new XcorrError("XCORR_GRAPH", `${where}: expected ${what}`);
}

function verifyReaders(graph: Graph): void {
  const nodes = new Set(graph.nodes);
  for (const node of nodes) {
    for (const { name, readers } of node.inputs)
      check(readers.has(node), `node "${node.name}"`, `"${name}" to know that it is read`);
  }
  for (const { name, readers } of graph.values().values()) {
    for (const reader of readers)
      check(nodes.has(reader), `"${name}"`, `its reader "${reader.name}" to be in the graph`);
  }
}

function verifyTypes(node: Node, where: string): void {
  const types = node.op.infer(
    node.inputs.map((v) => v.type),
    node.attrs,
  );
  check(types.length === node.outputs.length, where, `${types.length} outputs`);
  types.forEach(({ dtype, shape }, i) => {
    const have = node.outputs[i].type;
    check(
      have.dtype === dtype && sameShape(have.shape, shape),
      where,
      `output ${i} to be ${dtype} (${shape.join(", ")}), as infer says`,
    );
  });
}

function verifyLayout(node: Node, where: string): void {
  const types = node.inputs.map((v) => v.type);
  const layouts = (values: readonly Value[]): Layout[] => values.map((v) => v.layout);
  if (node.op.name === reorderOp.name) {
    const { to } = node.attrs as { to: Layout };
    const [from, into] = [node.inputs[0].layout, node.outputs[0].layout];
    check(into === to && from !== to, where, `a change of layout to ${to}`);
    return;
  }
  const blocked = [...layouts(node.inputs), ...layouts(node.outputs)].includes("blocked");
  if (!blocked) return;
  const rule = node.op.layout?.(types, node.attrs) ?? "plain";
  check(rule !== "plain", where, "plain tensors: the op knows no other");
  const parameters = node.op.parameters?.(types, node.attrs) ?? [];
  for (const i of parameters) {
    if (node.inputs[i] === undefined) continue;
    check(node.inputs[i].layout === "plain", where, `parameter ${i} to be plain`);
  }
}
