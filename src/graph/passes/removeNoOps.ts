/**
 * Takes out nodes that hand on their input as it is: identity, a reshape to the same shape, a transpose that moves nothing, a
 * concatenation of one, and reshapes of reshapes.
 *
 *   x -> reshape(a) -> reshape(b)      becomes      x -> reshape(b)
 */
import { sameShape } from "../../core/shape.js";
import type { Graph, Node } from "../graph.js";

function changesNothing({ op, attrs, inputs, outputs }: Node): boolean {
  if (outputs.length !== 1 || !sameShape(inputs[0].type.shape, outputs[0].type.shape)) return false;
  if (op.name === "identity" || op.name === "reshape") return true;
  if (op.name === "concat") return inputs.length === 1;
  return (
    op.name === "transpose" &&
    (attrs as { perm: readonly number[] }).perm.every((axis, i) => axis === i)
  );
}

export const removeNoOps = {
  name: "removeNoOps",
  apply(graph: Graph): number {
    let changes = 0;
    for (const node of [...graph.nodes]) {
      const before = node.inputs[0]?.producer;
      if (node.op.name === "reshape" && before?.op.name === "reshape") {
        graph.setInputs(node, [before.inputs[0]]);
        changes++;
      }
      // A value that is asked for by name keeps its node.
      if (!changesNothing(node) || graph.isOutput(node.outputs[0])) continue;
      graph.redirect(node.outputs[0], node.inputs[0]);
      graph.remove(node);
      changes++;
    }
    return changes;
  },
};
