/** Takes out nodes whose results nobody reads. */
import type { Graph, Node, Value } from "../graph.js";

export const removeDead = {
  name: "removeDead",
  apply(graph: Graph): number {
    const needed = new Set<Value>(graph.outputs.map(({ value }) => value));
    const dead = new Set<Node>();
    for (const node of [...graph.nodes].reverse()) {
      if (node.outputs.some((value) => needed.has(value)))
        for (const value of node.inputs) needed.add(value);
      else dead.add(node);
    }
    graph.remove(dead);
    return dead.size;
  },
};
