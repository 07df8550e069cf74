/**
 * Finds the shuffle of channels that ShuffleNets write as three nodes, for which there is a kernel on blocks.
 *
 *   x -> reshape(N, g, C / g, H, W) -> transpose(0, 2, 1, 3, 4) -> reshape(N, C, H, W)      becomes      x -> channelShuffle(g)
 */
import { sameShape } from "../../core/shape.js";
import { channelShuffleOp } from "../../ops/channelShuffle.js";
import { isImage } from "../../ops/shared.js";
import type { Graph, Node } from "../graph.js";

/** The groups that a node, the last of the three, shuffles. */
function groupsOf({ op, inputs, outputs }: Node): number | undefined {
  const exchange = inputs[0]?.producer;
  const apart = exchange?.inputs[0].producer;
  if (op.name !== "reshape" || exchange?.op.name !== "transpose" || apart?.op.name !== "reshape")
    return undefined;
  const [x] = apart.inputs;
  const [, groups, perGroup] = apart.outputs[0].type.shape;
  const [n, c, ...pixels] = x.type.shape;
  const { perm } = exchange.attrs as { perm: readonly number[] };
  const fits =
    isImage(x.type) &&
    sameShape(x.type.shape, outputs[0].type.shape) &&
    sameShape(apart.outputs[0].type.shape, [n, groups, perGroup, ...pixels]) &&
    groups * perGroup === c &&
    sameShape(perm, [0, 2, 1, 3, 4]);
  return fits ? groups : undefined;
}

export const recogniseShuffle = {
  name: "recogniseShuffle",
  apply(graph: Graph): number {
    let changes = 0;
    for (const node of [...graph.nodes]) {
      const groups = groupsOf(node);
      const x = node.inputs[0]?.producer?.inputs[0]?.producer?.inputs[0];
      if (groups === undefined || x === undefined) continue;
      graph.replace(node, channelShuffleOp, [x], { groups });
      changes++;
    }
    return changes;
  },
};
