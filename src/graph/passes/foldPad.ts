/**
 * Moves zero padding in front of an op into the op's own padding.
 *
 *   x -> pad(zeros, rows and columns) -> conv2d(padding p)      becomes      x -> conv2d(padding p + pads)
 *
 * Only into ops that pad with zeros themselves (OpDef.padsWithZeros).
 */
import type { Graph, Node } from "../graph.js";

/** Padding of the spatial axes, begins then ends, if that is all that a pad node adds. */
function spatialZeros(node: Node | undefined): number[] | undefined {
  if (node?.op.name !== "pad") return undefined;
  const { pads, mode, value } = node.attrs as {
    pads: readonly number[];
    mode: string;
    value: number;
  };
  const rank = pads.length / 2;
  const others = [pads[0], pads[1], pads[rank], pads[rank + 1]];
  if (mode !== "constant" || value !== 0 || others.some((n) => n !== 0) || pads.some((n) => n < 0))
    return undefined;
  return [...pads.slice(2, rank), ...pads.slice(rank + 2)];
}

export const foldPad = {
  name: "foldPad",
  apply(graph: Graph): number {
    let changes = 0;
    for (const node of [...graph.nodes]) {
      if (!node.op.padsWithZeros) continue;
      const pad = node.inputs[0].producer;
      const zeros = spatialZeros(pad);
      if (!pad || !zeros) continue;
      const { padding } = node.attrs as { padding: readonly number[] };
      graph.replace(node, node.op, [pad.inputs[0], ...node.inputs.slice(1)], {
        ...node.attrs,
        padding: padding.map((n, side) => n + zeros[side]),
      });
      changes++;
    }
    return changes;
  },
};
