/** Takes out nodes whose results nobody reads. */
import type { Graph } from "../graph.js";

export const removeDead = {
  name: "removeDead",
  apply(graph: Graph): number {
    let changes = 0;
    // From the end, so that what only dead nodes read is dead, too.
    for (const node of [...graph.nodes].reverse()) {
      if (node.outputs.some((value) => value.readers.size > 0 || graph.isOutput(value))) continue;
      graph.remove(node);
      changes++;
    }
    return changes;
  },
};
