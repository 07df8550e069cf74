/**
 * Gives a convolution's channels the order in which they become pixels: so each block of 8 channels of the result is one block as it stands.
 *
 *   x -> conv2d(w, b) -> depthToSpace(CRD)      becomes      x -> conv2d(rows of w and b in another order) -> depthToSpace(DCR)
 *
 * Only when weights are constants, nothing else reads the result in between, and the image that is made has enough channels to be in blocks.
 */
import { elementsOf } from "../../core/stored.js";
import { Tensor } from "../../core/tensor.js";
import { type DepthToSpaceAttrs, depthToSpaceOp } from "../../ops/depthToSpace.js";
import type { Graph, Node, Value } from "../graph.js";
import { madeBy } from "../patterns.js";

/** A product whose output channels may be made in any order. */
function productOf(graph: Graph, x: Value): Node | undefined {
  const product = madeBy(x, "conv2d");
  if (!product || !graph.isReadOnce(x) || "residual" in product.attrs) return undefined;
  const constants = product.inputs.slice(1).every((v) => v.constant?.dtype === "float32");
  return constants && (product.attrs as { groups: number }).groups === 1 ? product : undefined;
}

/** The parts of a tensor along its first axis, in this order. */
function inOrder(t: Tensor, order: readonly number[]): Tensor {
  const from = elementsOf(t) as Float32Array;
  const size = t.size / order.length;
  const to = new Float32Array(t.size);
  order.forEach((o, i) => {
    to.set(from.subarray(o * size, (o + 1) * size), i * size);
  });
  return new Tensor(to, t.shape);
}

export const foldDepthOrder = {
  name: "foldDepthOrder",
  apply(graph: Graph): number {
    let changes = 0;
    for (const node of [...graph.nodes]) {
      if (node.op.name !== "depthToSpace") continue;
      const attrs = node.attrs as DepthToSpaceAttrs;
      const [{ type }] = node.inputs;
      const product = productOf(graph, node.inputs[0]);
      if (!product || attrs.mode !== "CRD" || depthToSpaceOp.layout?.([type], attrs) !== "follows")
        continue;
      const squares = attrs.blockSize ** 2;
      const all = type.shape[1];
      const channels = all / squares;
      // Place (square, channel) is made by what stands at (channel, square).
      const order = Array.from(
        { length: all },
        (_, k) => (k % channels) * squares + Math.floor(k / channels),
      );
      const [x, ...weights] = product.inputs;
      const ordered = weights.map((v) =>
        graph.constant(inOrder(v.constant as Tensor, order), v.name),
      );
      graph.replace(product, product.op, [x, ...ordered], product.attrs);
      graph.replace(node, node.op, node.inputs, { ...node.attrs, mode: "DCR" });
      changes++;
    }
    return changes;
  },
};
