/**
 * Finds activations that a model writes as several nodes, and puts the one op in their place.
 *
 *   clip(x + c, 0, m) / m, also times 1 / m         ->  hardSigmoid(alpha 1 / m, beta c / m)
 *   x * clip(x + 3, 0, 6) / 6, in either order      ->  hardSwish
 *   x * hardSigmoid(x; 1 / 6, 1 / 2)                ->  hardSwish
 *   x * sigmoid(x)                                  ->  silu
 *   x * tanh(softplus(x))                           ->  mish
 *   x * (1 + erf(x / sqrt(2))) / 2, in any order    ->  gelu
 */
import { sameShape } from "../../core/shape.js";
import { unaryOps } from "../../ops/unary.js";
import type { Graph, Node, Value } from "../graph.js";
import { madeBy, scalarOf } from "../patterns.js";

type Match = { name: string; x: Value; attrs: Record<string, number | string> };

/** The other operand of a commutative node of two inputs. */
const otherOf = (node: Node, one: Value): Value =>
  node.inputs[0] === one ? node.inputs[1] : node.inputs[0];

/** A node "v times (or divided by) a number": v and the factor. */
function scaled(node: Node): { v: Value; factor: number } | undefined {
  if ("activation" in node.attrs) return undefined;
  const [a, b] = node.inputs;
  if (node.op.name === "div") {
    const by = scalarOf(b);
    return by === undefined ? undefined : { v: a, factor: 1 / by };
  }
  if (node.op.name !== "mul") return undefined;
  const [left, right] = [scalarOf(a), scalarOf(b)];
  if (right !== undefined) return { v: a, factor: right };
  return left === undefined ? undefined : { v: b, factor: left };
}

/** clip(x + c, 0, m): x, c and m. */
function clippedSum(v: Value): { x: Value; c: number; m: number } | undefined {
  const clip = madeBy(v, "clip");
  const sum = madeBy(clip?.inputs[0], "add");
  if (!clip || !sum) return undefined;
  const { min, max } = clip.attrs as { min: number; max: number };
  const c = scalarOf(sum.inputs[1]) ?? scalarOf(sum.inputs[0]);
  const x = scalarOf(sum.inputs[1]) === undefined ? sum.inputs[1] : sum.inputs[0];
  return c === undefined || min !== 0 || !(max > 0) || !Number.isFinite(max)
    ? undefined
    : { x, c, m: max };
}

const near = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-6 * Math.abs(b);
const isHardSwish = (c: number, m: number): boolean => near(c, 3) && near(m, 6);

/**
 * The factors of a product of products, and the numbers among them as one. Products within products are looked into so many times only: each may be
 * read twice by the next, and twice as many at every level would never end.
 */
function factorsOf(v: Value, levels = 3): { values: Value[]; number: number } {
  const node = levels > 0 ? v.producer : undefined;
  const times = node && scaled(node);
  if (times) {
    const { values, number } = factorsOf(times.v, levels - 1);
    return { values, number: number * times.factor };
  }
  if (node?.op.name !== "mul" || "activation" in node.attrs) return { values: [v], number: 1 };
  const [a, b] = node.inputs.map((operand) => factorsOf(operand, levels - 1));
  return { values: [...a.values, ...b.values], number: a.number * b.number };
}

/** 1 + erf(x / sqrt(2)): x. */
function normalShare(v: Value): Value | undefined {
  const sum = madeBy(v, "add");
  if (!sum) return undefined;
  const erf = sum.inputs.find(({ producer }) => producer?.op.name === "erf");
  if (!erf?.producer || scalarOf(otherOf(sum, erf)) !== 1) return undefined;
  const inner = erf.producer.inputs[0].producer;
  const times = inner && scaled(inner);
  return times && near(times.factor, Math.SQRT1_2) ? times.v : undefined;
}

function matchGelu(node: Node): Match | undefined {
  if (node.op.name !== "mul" && node.op.name !== "div") return undefined;
  const { values, number } = factorsOf(node.outputs[0]);
  if (values.length !== 2 || !near(number, 0.5)) return undefined;
  const at = values.findIndex((v, i) => normalShare(v) === values[1 - i]);
  return at < 0 ? undefined : { name: "gelu", x: values[1 - at], attrs: { approximate: "none" } };
}

function match(node: Node): Match | undefined {
  const gelu = matchGelu(node);
  if (gelu) return gelu;
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
