/**
 * Finds activations that a model writes as several nodes, and puts the one op in their place.
 *
 *   clip(x + c, 0, m) / m, also times 1 / m         ->  hardSigmoid(alpha 1 / m, beta c / m)
 *   x * clip(x + 3, 0, 6) / 6, in either order      ->  hardSwish
 *   x * hardSigmoid(x; 1 / 6, 1 / 2)                ->  hardSwish
 *   x * sigmoid(x)                                  ->  silu
 *   x * tanh(softplus(x))                           ->  mish
 */
import { sameShape } from "../../core/shape.js";
import { unaryOps } from "../../ops/unary.js";
import type { Graph, Node, Value } from "../graph.js";

type Match = { name: string; x: Value; attrs: Record<string, number> };

/** The number that a constant of one element holds. */
const scalar = (v: Value): number | undefined =>
  v.constant && v.constant.size === 1 && v.constant.dtype === "float32"
    ? (v.constant.data[0] as number)
    : undefined;

/** The other operand of a commutative node of two inputs. */
const otherOf = (node: Node, one: Value): Value =>
  node.inputs[0] === one ? node.inputs[1] : node.inputs[0];

/** A node "v times (or divided by) a number": v and the factor. */
function scaled(node: Node): { v: Value; factor: number } | undefined {
  if ("activation" in node.attrs) return undefined;
  const [a, b] = node.inputs;
  if (node.op.name === "div") {
    const by = scalar(b);
    return by === undefined ? undefined : { v: a, factor: 1 / by };
  }
  if (node.op.name !== "mul") return undefined;
  const [left, right] = [scalar(a), scalar(b)];
  if (right !== undefined) return { v: a, factor: right };
  return left === undefined ? undefined : { v: b, factor: left };
}

/** clip(x + c, 0, m): x, c and m. */
function clippedSum(v: Value): { x: Value; c: number; m: number } | undefined {
  const clip = v.producer;
  const sum = clip?.inputs[0].producer;
  if (clip?.op.name !== "clip" || sum?.op.name !== "add" || "activation" in sum.attrs)
    return undefined;
  const { min, max } = clip.attrs as { min: number; max: number };
  const c = scalar(sum.inputs[1]) ?? scalar(sum.inputs[0]);
  const x = scalar(sum.inputs[1]) === undefined ? sum.inputs[1] : sum.inputs[0];
  return c === undefined || min !== 0 || !(max > 0) || !Number.isFinite(max)
    ? undefined
    : { x, c, m: max };
}

const near = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-6 * Math.abs(b);
const isHardSwish = (c: number, m: number): boolean => near(c, 3) && near(m, 6);

function match(node: Node): Match | undefined {
  const times = scaled(node);
  if (times) {
    const gate = clippedSum(times.v);
    if (gate && near(times.factor, 1 / gate.m)) {
      return {
        name: "hardSigmoid",
        x: gate.x,
        attrs: { alpha: 1 / gate.m, beta: gate.c / gate.m },
      };
    }
    // (x * clip(x + 3, 0, 6)) / 6
    const product = times.v.producer;
    if (
      product?.op.name === "mul" &&
      !("activation" in product.attrs) &&
      near(times.factor, 1 / 6)
    ) {
      for (const operand of product.inputs) {
        const inner = clippedSum(operand);
        if (inner && inner.x === otherOf(product, operand) && isHardSwish(inner.c, inner.m))
          return { name: "hardSwish", x: inner.x, attrs: {} };
      }
    }
  }
  if (node.op.name !== "mul" || "activation" in node.attrs) return undefined;
  for (const operand of node.inputs) {
    const x = otherOf(node, operand);
    const gate = operand.producer;
    if (gate?.inputs.length !== 1) continue;
    if (gate.inputs[0] === x && gate.op.name === "sigmoid")
      return { name: "silu", x, attrs: { alpha: 1 } };
    const { alpha, beta } = gate.attrs as { alpha?: number; beta?: number };
    if (
      gate.inputs[0] === x &&
      gate.op.name === "hardSigmoid" &&
      near(alpha ?? 0, 1 / 6) &&
      near(beta ?? 0, 0.5)
    ) {
      return { name: "hardSwish", x, attrs: {} };
    }
    const inner = gate.inputs[0].producer;
    if (gate.op.name === "tanh" && inner?.op.name === "softplus" && inner.inputs[0] === x)
      return { name: "mish", x, attrs: {} };
  }
  return undefined;
}

export const recogniseActivations = {
  name: "recogniseActivations",
  apply(graph: Graph): number {
    let changes = 0;
    for (const node of [...graph.nodes]) {
      const found = match(node);
      // The nodes in between go with removeDead, if nothing else reads them.
      if (!found || !sameShape(found.x.type.shape, node.outputs[0].type.shape)) continue;
      graph.replace(node, unaryOps[found.name], [found.x], found.attrs);
      changes++;
    }
    return changes;
  },
};
