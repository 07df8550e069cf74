/**
 * Evaluates nodes whose inputs never change, once, by their references: weights that are stored as small integers, transposed matrices.
 *
 *   dequantizeLinear(constant, constant) -> w      becomes      constant w
 *
 * Declines results that are larger than both the inputs and 1 MiB (an expand of one number): those cost memory and save little.
 */
import { sizeOf } from "../../core/shape.js";
import { Tensor } from "../../core/tensor.js";
import type { Graph, Node } from "../graph.js";

const SMALL = 2 ** 18;

function worthFolding({ inputs, outputs }: Node): boolean {
  if (inputs.length === 0 || !inputs.every((v) => v.constant)) return false;
  const into = inputs.reduce((sum, v) => sum + sizeOf(v.type.shape), 0);
  const out = outputs.reduce((sum, v) => sum + sizeOf(v.type.shape), 0);
  return out <= Math.max(into, SMALL);
}

export const foldConstants = {
  name: "foldConstants",
  apply(graph: Graph): number {
    let changes = 0;
    for (const node of [...graph.nodes]) {
      if (!worthFolding(node)) continue;
      const results = node.outputs.map(({ type }) => Tensor.zeros(type.shape, type.dtype));
      node.op.reference(
        node.inputs.map((v) => v.constant as Tensor),
        node.attrs,
        results,
      );
      node.outputs.forEach((value, i) => {
        graph.redirect(value, graph.constant(results[i], value.name));
      });
      graph.remove(node);
      changes++;
    }
    return changes;
  },
};
