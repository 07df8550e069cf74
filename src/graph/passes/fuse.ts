/**
 * Lets an op do to its result what the next node would do to it in a pass of its own: fuseAdd and fuseActivation.
 *
 *   x -> conv2d -> add(residual) -> relu      becomes      x, residual -> conv2d(residual: true, activation: relu)
 *
 * Only when nothing else reads the result in between, and the op has an epilogue that can (OpDef.epilogue). The fused node stands where
 * the later of the two stood, so the residual is there already.
 */
import { sameShape } from "../../core/shape.js";
import type { Graph, Node, Value } from "../graph.js";

/** The node that makes a value which `reader` alone reads. */
function soleProducer(
  graph: Graph,
  readers: ReadonlyMap<Value, Node[]>,
  value: Value,
): Node | undefined {
  const alone = readers.get(value)?.length === 1 && !graph.isOutput(value);
  return alone && value.producer?.outputs.length === 1 ? value.producer : undefined;
}

export const fuseAdd = {
  name: "fuseAdd",
  apply(graph: Graph): number {
    let changes = 0;
    for (const node of [...graph.nodes]) {
      if (
        node.op.name !== "add" ||
        !sameShape(node.inputs[0].type.shape, node.inputs[1].type.shape)
      )
        continue;
      const readers = graph.readers();
      // The operand that was made last: the other is then certainly there before it.
      const [first, second] = node.inputs;
      for (const [result, residual] of [
        [second, first],
        [first, second],
      ]) {
        const product = soleProducer(graph, readers, result);
        if (
          result === residual ||
          product?.op.epilogue !== "residual" ||
          "residual" in product.attrs ||
          "activation" in product.attrs
        )
          continue;
        graph.replace(node, product.op, [...product.inputs, residual], {
          ...product.attrs,
          ...node.attrs,
          residual: true,
        });
        graph.remove(new Set([product]));
        changes++;
        break;
      }
    }
    return changes;
  },
};

export const fuseActivation = {
  name: "fuseActivation",
  apply(graph: Graph): number {
    let changes = 0;
    const readers = graph.readers();
    for (const node of [...graph.nodes]) {
      const activation = node.op.activation?.(node.attrs);
      if (!activation) continue;
      const product = soleProducer(graph, readers, node.inputs[0]);
      if (
        !product?.op.epilogue ||
        "activation" in product.attrs ||
        product.outputs[0].type.dtype !== "float32"
      )
        continue;
      const fused = graph.replace(node, product.op, product.inputs, {
        ...product.attrs,
        activation,
      });
      graph.remove(new Set([product]));
      for (const value of fused.inputs) {
        readers.set(
          value,
          (readers.get(value) ?? []).map((reader) => (reader === product ? fused : reader)),
        );
      }
      changes++;
    }
    return changes;
  },
};
