/**
 * A mean or a maximum over all rows and columns is a global pool, which has a kernel for images in blocks.
 *
 *   x -> reduceMean(axes 2, 3)      becomes      x -> globalAvgPool, -> reshape where the axes are dropped
 */

import { reshapeOp } from "../../ops/data.js";
import { globalAvgPoolOp, globalMaxPoolOp } from "../../ops/globalPool.js";
import type { ReduceAttrs } from "../../ops/reduce.js";
import { isImage } from "../../ops/shared.js";
import type { Graph } from "../graph.js";

const pools = new Map([
  ["reduceMean", globalAvgPoolOp],
  ["reduceMax", globalMaxPoolOp],
]);

export const recogniseGlobalPool = {
  name: "recogniseGlobalPool",
  apply(graph: Graph): number {
    let changes = 0;
    for (const node of [...graph.nodes]) {
      const pool = pools.get(node.op.name);
      const [x] = node.inputs;
      if (!pool || !isImage(x.type) || x.type.shape.includes(0)) continue;
      const { axes, keepDims } = node.attrs as ReduceAttrs;
      if (axes.length !== 2 || !axes.includes(2) || !axes.includes(3)) continue;
      if (keepDims) graph.replace(node, pool, [x], {});
      else {
        const pooled = graph.insertBefore(node, pool, [x], {});
        graph.replace(node, reshapeOp, pooled, { shape: node.outputs[0].type.shape });
      }
      changes++;
    }
    return changes;
  },
};
