/**
 * Finds the normalisation over the last axes, or over the channels of each pixel, that a model writes as several nodes, and puts the one op in their place.
 *
 *   d = x - mean(x);  y = d / sqrt(mean(d * d) + eps) * scale + bias      becomes      layerNorm(x, scale, bias) or channelNorm(x, scale, bias)
 *
 * with d * d also as d to the power of 2. Scale and bias are constants, or not there.
 */

import type { OpDef } from "../../core/op.js";
import { sameShape } from "../../core/shape.js";
import { Tensor } from "../../core/tensor.js";
import { channelNormOp, layerNormOp } from "../../ops/norm.js";
import type { ReduceAttrs } from "../../ops/reduce.js";
import type { Graph, Node, Value } from "../graph.js";
import { affineBehind, madeBy, scalarOf } from "../patterns.js";

/** The input of a mean and the axes that it is taken over, if they stay as axes of size 1. */
function meanOf(v: Value): { x: Value; axes: readonly number[] } | undefined {
  const mean = madeBy(v, "reduceMean");
  const { axes = [], keepDims } = (mean?.attrs ?? {}) as Partial<ReduceAttrs>;
  return mean && keepDims && axes.length > 0 ? { x: mean.inputs[0], axes } : undefined;
}

function isSquareOf(v: Value, d: Value): boolean {
  const power = madeBy(v, "pow");
  if (power) return power.inputs[0] === d && scalarOf(power.inputs[1]) === 2;
  const product = madeBy(v, "mul");
  return product?.inputs.every((operand) => operand === d) ?? false;
}

/** The quotient in the middle of the pattern. */
function match(node: Node): { x: Value; axes: readonly number[]; eps: number } | undefined {
  if (node.op.name !== "div" || "activation" in node.attrs) return undefined;
  const [d, deviation] = node.inputs;
  const difference = madeBy(d, "sub");
  const mean = difference && meanOf(difference.inputs[1]);
  const sum = madeBy(madeBy(deviation, "sqrt")?.inputs[0], "add");
  if (!mean || difference.inputs[0] !== mean.x || !sum) return undefined;
  for (const [variance, eps] of [sum.inputs, [...sum.inputs].reverse()]) {
    const squares = meanOf(variance);
    const number = scalarOf(eps);
    if (
      squares &&
      number !== undefined &&
      sameShape(squares.axes, mean.axes) &&
      isSquareOf(squares.x, d)
    )
      return { ...mean, eps: number };
  }
  return undefined;
}

/** The op that normalises over some axes, with the shape of its scale and bias and the one in which they stand beside its result. */
interface Norm {
  readonly op: OpDef;
  readonly attrs: object;
  readonly parameters: readonly number[];
  readonly beside: readonly number[];
  readonly needsBias: boolean;
}

function normOver(
  axes: readonly number[],
  shape: readonly number[],
  eps: number,
): Norm | undefined {
  const axis = shape.length - axes.length;
  if (axis >= 0 && axes.every((a) => a >= axis)) {
    const part = shape.slice(axis);
    return {
      op: layerNormOp as OpDef,
      attrs: { axis, eps },
      parameters: part,
      beside: part,
      needsBias: false,
    };
  }
  if (axes.length !== 1 || axes[0] !== 1) return undefined;
  const beside = [shape[1], ...shape.slice(2).fill(1)];
  return {
    op: channelNormOp as OpDef,
    attrs: { eps },
    parameters: [shape[1]],
    beside,
    needsBias: true,
  };
}

export const recogniseLayerNorm = {
  name: "recogniseLayerNorm",
  apply(graph: Graph): number {
    let changes = 0;
    for (const node of [...graph.nodes]) {
      const found = match(node);
      const norm = found && normOver(found.axes, found.x.type.shape, found.eps);
      if (!norm) continue;
      const { last, ...behind } = affineBehind(graph, node, norm.beside);
      const scale = behind.scale?.reshape(norm.parameters) ?? Tensor.ones(norm.parameters);
      const bias =
        behind.bias?.reshape(norm.parameters) ??
        (norm.needsBias ? Tensor.zeros(norm.parameters) : undefined);
      const inputs = [found.x, graph.constant(scale, `${node.name}.scale`)];
      if (bias) inputs.push(graph.constant(bias, `${node.name}.bias`));
      graph.replace(last, norm.op, inputs, norm.attrs);
      changes++;
    }
    return changes;
  },
};
