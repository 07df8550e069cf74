/**
 * A mean or a maximum over all rows and columns is a global pool, which has a kernel for images in blocks.
 *
 *   x -> reduceMean(axes 2, 3)                        becomes      x -> globalAvgPool, -> reshape where the axes are dropped
 *   x -> avgPool2d with a window as large as x        becomes      x -> globalAvgPool
 */
import { sameShape } from "../../core/shape.js";
import { reshapeOp } from "../../ops/data.js";
import { globalAvgPoolOp, globalMaxPoolOp } from "../../ops/globalPool.js";
import type { ReduceAttrs } from "../../ops/reduce.js";
import { isImage } from "../../ops/shared.js";
import type { AvgPoolAttrs } from "../../ops/windows.js";
import type { Graph, Node } from "../graph.js";

const reductions = new Map([
  ["reduceMean", globalAvgPoolOp],
  ["reduceMax", globalMaxPoolOp],
]);

/** The pool that a node is, apart from the shape of its result. */
function poolOf({ op, attrs, inputs: [x] }: Node): typeof globalAvgPoolOp | undefined {
  if (op.name === "avgPool2d") {
    const { kernel, padding, divisorOverride } = attrs as AvgPoolAttrs;
    const whole = sameShape(kernel, x.type.shape.slice(2)) && padding.every((n) => n === 0);
    return whole && divisorOverride === 0 ? globalAvgPoolOp : undefined;
  }
  const pool = reductions.get(op.name);
  const axes = pool && (attrs as ReduceAttrs).axes;
  return axes?.length === 2 && axes.includes(2) && axes.includes(3) ? pool : undefined;
}

export const recogniseGlobalPool = {
  name: "recogniseGlobalPool",
  apply(graph: Graph): number {
    let changes = 0;
    for (const node of [...graph.nodes]) {
      const [x] = node.inputs;
      const pool = x && isImage(x.type) && !x.type.shape.includes(0) ? poolOf(node) : undefined;
      if (!pool) continue;
      const { shape } = node.outputs[0].type;
      if (shape.length === 4) graph.replace(node, pool, [x], {});
      else graph.replace(node, reshapeOp, graph.insertBefore(node, pool, [x], {}), { shape });
      changes++;
    }
    return changes;
  },
};
