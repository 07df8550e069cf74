/**
 * Folds what scales and shifts each channel into the weights after it.
 *
 *   x -> batchNorm -> conv2d(w, b)      becomes      x -> conv2d(w * s, b + sum of w * t)
 *   with s and t what batchNorm (or mul, add, sub, div by a constant per channel) multiplies an input channel by and adds to it.
 *
 * Only when nothing else reads the result in between. Padding zeros would have to become -t / s, so with padding only if all t are 0.
 */
import { sameShape } from "../../core/shape.js";
import { elementsOf, scaledTensor } from "../../core/stored.js";
import { Tensor } from "../../core/tensor.js";
import { convInputs } from "../../ops/conv2d.js";
import type { Graph, Node, Value } from "../graph.js";
import { type Affine, affineOf, isUniform } from "./affine.js";

/** Weights and bias of a convolution that scales and shifts its input channels itself. */
export function foldAffineInputs(
  weight: Tensor,
  bias: Tensor | undefined,
  { scale, shift }: Affine,
  groups: number,
): { weight: Tensor; bias: Tensor } {
  const [cout, perGroup, kh, kw] = weight.shape;
  const first = (o: number): number => Math.floor(o / (cout / groups)) * perGroup;
  const newBias = bias?.clone() ?? Tensor.zeros([cout]);
  if (shift.some((t) => t !== 0)) {
    const taps = elementsOf(weight) as Float32Array;
    // Weights that are multiplied by the same number: of an input channel, or all.
    const runs = isUniform(shift) ? 1 : perGroup;
    const length = (perGroup * kh * kw) / runs;
    for (let o = 0, i = 0; o < cout; o++) {
      let moved = newBias.data[o] as number;
      for (let run = 0; run < runs; run++) {
        let sum = 0;
        for (const end = i + length; i < end; i++) sum += taps[i];
        moved += sum * shift[first(o) + run];
      }
      newBias.data[o] = moved;
    }
  }
  const factors = isUniform(scale) ? scale.slice(0, 1) : new Float64Array(cout * perGroup);
  for (let o = 0; o < cout && factors.length > 1; o++)
    factors.set(scale.subarray(first(o), first(o) + perGroup), o * perGroup);
  return { weight: scaledTensor(weight, factors), bias: newBias };
}

/** Whether a node is a convolution of `x` by weights that can be changed. */
function canTake({ op, attrs, inputs }: Node, x: Value): boolean {
  if (op.name !== "conv2d" || inputs[0] !== x) return false;
  const { bias, residual } = convInputs(inputs, attrs);
  const parameters = bias ? [inputs[1], bias] : [inputs[1]];
  return residual !== x && parameters.every((v) => v.constant?.dtype === "float32");
}

export const foldAffineAhead = {
  name: "foldAffineAhead",
  apply(graph: Graph): number {
    let changes = 0;
    // From the end, so that of a chain the last link goes first and the others follow.
    for (const node of [...graph.nodes].reverse()) {
      const [result] = node.outputs;
      if (!graph.isReadOnce(result) || "activation" in node.attrs) continue;
      const [reader] = result.readers;
      if (!canTake(reader, result)) continue;
      const from = node.inputs.find(
        (v) => !v.constant && sameShape(v.type.shape, result.type.shape),
      );
      const affine = from && affineOf(node, from);
      if (!affine) continue;
      const { groups, padding } = reader.attrs as { groups: number; padding: readonly number[] };
      if (padding.some((n) => n > 0) && affine.shift.some((t) => t !== 0)) continue;
      const [, weight] = reader.inputs;
      const { bias, residual } = convInputs(reader.inputs, reader.attrs);
      const folded = foldAffineInputs(weight.constant as Tensor, bias?.constant, affine, groups);
      const inputs = [
        from,
        graph.constant(folded.weight, weight.name),
        graph.constant(folded.bias, bias?.name ?? `${reader.name}.bias`),
        ...(residual ? [residual] : []),
      ];
      graph.replace(reader, reader.op, inputs, reader.attrs);
      graph.remove(node);
      changes++;
    }
    return changes;
  },
};
