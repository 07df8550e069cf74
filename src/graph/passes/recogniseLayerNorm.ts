/**
 * Finds the normalisation over the last axes that a model writes as several nodes, and puts the one op in their place.
 *
 *   d = x - mean(x);  y = d / sqrt(mean(d * d) + eps) * scale + bias      becomes      layerNorm(x, scale, bias)
 *
 * with d * d also as d to the power of 2. Scale and bias are constants, or not there.
 */
import { sameShape, sizeOf } from "../../core/shape.js";
import { Tensor } from "../../core/tensor.js";
import { layerNormOp } from "../../ops/norm.js";
import type { ReduceAttrs } from "../../ops/reduce.js";
import type { Graph, Node, Value } from "../graph.js";
import { madeBy, scalarOf } from "../patterns.js";

/** The input of a mean over the last axes, and the first of these. */
function lastMean(v: Value): { x: Value; axis: number } | undefined {
  const mean = madeBy(v, "reduceMean");
  if (!mean) return undefined;
  const [x] = mean.inputs;
  const { axes, keepDims } = mean.attrs as ReduceAttrs;
  const axis = x.type.shape.length - axes.length;
  return keepDims && axis >= 0 && axes.every((a) => a >= axis) ? { x, axis } : undefined;
}

function isSquareOf(v: Value, d: Value): boolean {
  const power = madeBy(v, "pow");
  if (power) return power.inputs[0] === d && scalarOf(power.inputs[1]) === 2;
  const product = madeBy(v, "mul");
  return product?.inputs.every((operand) => operand === d) ?? false;
}

/** The quotient in the middle of the pattern. */
function match(node: Node): { x: Value; axis: number; eps: number } | undefined {
  if (node.op.name !== "div" || "activation" in node.attrs) return undefined;
  const [d, deviation] = node.inputs;
  const difference = madeBy(d, "sub");
  const mean = difference && lastMean(difference.inputs[1]);
  const sum = madeBy(madeBy(deviation, "sqrt")?.inputs[0], "add");
  if (!mean || difference.inputs[0] !== mean.x || !sum) return undefined;
  for (const [variance, eps] of [sum.inputs, [...sum.inputs].reverse()]) {
    const squares = lastMean(variance);
    const number = scalarOf(eps);
    if (squares && number !== undefined && squares.axis === mean.axis && isSquareOf(squares.x, d))
      return { ...mean, eps: number };
  }
  return undefined;
}

/** What alone reads a value, if it is this operation with a constant that has one number for each element of a normalised part. */
function affine(graph: Graph, v: Value, name: string, axis: number): [Node, Tensor] | undefined {
  const [reader] = v.readers;
  if (!graph.isReadOnce(v) || reader.op.name !== name || "activation" in reader.attrs) return;
  const constant = reader.inputs.find((operand) => operand !== v)?.constant;
  const part = v.type.shape.slice(axis);
  if (constant?.size !== sizeOf(part) || !sameShape(reader.outputs[0].type.shape, v.type.shape))
    return;
  const shape = constant.shape.slice(-part.length);
  return sameShape(shape, part) ? [reader, constant.reshape(part)] : undefined;
}

export const recogniseLayerNorm = {
  name: "recogniseLayerNorm",
  apply(graph: Graph): number {
    let changes = 0;
    for (const node of [...graph.nodes]) {
      const found = match(node);
      if (!found) continue;
      const { x, axis, eps } = found;
      const part = x.type.shape.slice(axis);
      let last = node;
      const next = (name: string): Tensor | undefined => {
        const [reader, constant] = affine(graph, last.outputs[0], name, axis) ?? [];
        if (reader) last = reader;
        return constant;
      };
      const scale = next("mul") ?? Tensor.ones(part);
      const bias = next("add");
      const inputs = [x, graph.constant(scale, `${node.name}.scale`)];
      if (bias) inputs.push(graph.constant(bias, `${node.name}.bias`));
      graph.replace(last, layerNormOp, inputs, { axis, eps });
      changes++;
    }
    return changes;
  },
};
