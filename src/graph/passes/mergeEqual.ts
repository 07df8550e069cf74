/**
 * Lets one node do what several do: the same op on the same inputs with the same attributes.
 *
 *   x -> relu -> conv2d            becomes      x -> relu -> conv2d
 *   x -> relu -> avgPool2d                             `-> avgPool2d
 *
 * Cells whose branches each begin with an activation of the same image are written so.
 */
import type { Graph, Node } from "../graph.js";

/** The same for nodes that give the same. Names of values are unique; JSON has no infinities and no -0. */
function keyOf({ op, inputs, attrs }: Node): string {
  const exact = (_: string, value: unknown) =>
    typeof value !== "number" ? value : Object.is(value, -0) ? "-0" : String(value);
  return JSON.stringify([op.name, inputs.map(({ name }) => name), attrs], exact);
}

export const mergeEqual = {
  name: "mergeEqual",
  apply(graph: Graph): number {
    const first = new Map<string, Node>();
    let changes = 0;
    for (const node of [...graph.nodes]) {
      const key = keyOf(node);
      const same = first.get(key);
      if (!same) first.set(key, node);
      // A value that is asked for by name keeps its node.
      if (!same || node.outputs.some((value) => graph.isOutput(value))) continue;
      node.outputs.forEach((value, i) => {
        graph.redirect(value, same.outputs[i]);
      });
      graph.remove(node);
      changes++;
    }
    return changes;
  },
};
