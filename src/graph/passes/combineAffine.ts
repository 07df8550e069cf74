/**
 * Makes one batchNorm of everything that scales and shifts the channels of an image in a row.
 *
 *   x -> batchNorm -> mul(a) -> add(b, activation)      becomes      x -> batchNorm(scale, shift, 0, 1; eps 0, activation)
 *
 * with a and b constants, one number per channel or one for all; so does a mul, add, sub or div by a number per channel that stands alone,
 * because a batchNorm keeps the blocked layout and is one multiply-add. Only when nothing else reads the results in between.
 */
import { sameShape } from "../../core/shape.js";
import { Tensor } from "../../core/tensor.js";
import { batchNormOp } from "../../ops/norm.js";
import { isImage } from "../../ops/shared.js";
import type { Graph, Node, Value } from "../graph.js";
import { type Affine, affineOf, isUniform } from "./affine.js";

/** First `a`, then `b`. */
export function composeAffine(a: Affine, b: Affine): Affine {
  const [scale, shift] = [new Float64Array(a.scale), new Float64Array(a.shift)];
  for (let c = 0; c < scale.length; c++) {
    scale[c] *= b.scale[c];
    shift[c] = shift[c] * b.scale[c] + b.shift[c];
  }
  return { scale, shift };
}

/** The image that a node scales and shifts, and how. */
function affineNode(node: Node): { from: Value; affine: Affine } | undefined {
  const { type } = node.outputs[0];
  const from = node.inputs.find((v) => !v.constant && sameShape(v.type.shape, type.shape));
  if (!from || !isImage(type)) return undefined;
  const affine = affineOf(node, from);
  return affine && { from, affine };
}

export const combineAffine = {
  name: "combineAffine",
  apply(graph: Graph): number {
    let changes = 0;
    const gone = new Set<Node>();
    // From the end, so that a chain is met at its last link, and is one product of float64 numbers.
    for (const node of [...graph.nodes].reverse()) {
      const last = gone.has(node) ? undefined : affineNode(node);
      if (!last) continue;
      let { from: x, affine } = last;
      const before = new Set<Node>();
      for (let link = x.producer; link; link = x.producer) {
        const alone = graph.isReadOnce(x) && !("activation" in link.attrs);
        const next = alone ? affineNode(link) : undefined;
        if (!next) break;
        affine = composeAffine(next.affine, affine);
        x = next.from;
        before.add(link);
        gone.add(link);
      }
      // One number for all channels costs nothing where it stands, and may be fused with what is before it.
      const uniform = isUniform(affine.scale) && isUniform(affine.shift);
      if (before.size === 0 && (node.op === batchNormOp || uniform)) continue;
      const constant = (tensor: Tensor, name: string): Value =>
        graph.constant(tensor, `${node.name}.${name}`);
      const shape = [affine.scale.length];
      const inputs = [
        x,
        constant(new Tensor(new Float32Array(affine.scale), shape), "scale"),
        constant(new Tensor(new Float32Array(affine.shift), shape), "shift"),
        constant(Tensor.zeros(shape), "mean"),
        constant(Tensor.ones(shape), "variance"),
      ];
      graph.replace(node, batchNormOp, inputs, { ...node.attrs, eps: 0 });
      for (const link of before) graph.remove(link);
      changes++;
    }
    return changes;
  },
};
