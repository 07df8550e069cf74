/**
 * Finds the normalisation over groups of channels that a model writes as that of other images, and puts the one op in its place.
 *
 *   instanceNorm(x as (N, groups, ...)) as x's shape * scale + bias      becomes      groupNorm(x, scale, bias)
 *
 * So exporters wrote it before ONNX had GroupNormalization. Scale and bias are constants, or not there.
 */

import { sameShape } from "../../core/shape.js";
import { Tensor } from "../../core/tensor.js";
import { groupNormOp, type InstanceNormAttrs } from "../../ops/norm.js";
import type { Graph, Node, Value } from "../graph.js";
import { affineBehind, madeBy } from "../patterns.js";

/** What alone reads a value, if it is a reshape. */
function reshapeOf(graph: Graph, v: Value): Node | undefined {
  const [reader] = v.readers;
  return graph.isReadOnce(v) && reader.op.name === "reshape" ? reader : undefined;
}

/** The image whose groups of channels are the channels of what the norm reads, and the reshape that makes its result that image again. */
function match(graph: Graph, norm: Node): { x: Value; back: Node } | undefined {
  if (norm.op.name !== "instanceNorm" || "activation" in norm.attrs) return undefined;
  const [grouped, ...perGroup] = norm.inputs;
  const x = madeBy(grouped, "reshape")?.inputs[0];
  const back = reshapeOf(graph, norm.outputs[0]);
  if (!x || !back || perGroup.some(({ constant }) => constant?.dtype !== "float32"))
    return undefined;
  const { shape } = x.type;
  const [images, groups] = grouped.type.shape;
  const divides = shape.length > 2 && shape[0] === images && shape[1] % groups === 0;
  return divides && sameShape(back.outputs[0].type.shape, shape) ? { x, back } : undefined;
}

export const recogniseGroupNorm = {
  name: "recogniseGroupNorm",
  apply(graph: Graph): number {
    let changes = 0;
    for (const node of [...graph.nodes]) {
      const found = match(graph, node);
      if (!found) continue;
      const channels = found.x.type.shape[1];
      const [scales, biases] = node.inputs.slice(1).map(({ constant }) => constant as Tensor);
      const groups = scales.size;
      const beside = [channels, ...found.x.type.shape.slice(2).fill(1)];
      const behind = affineBehind(graph, found.back, beside);
      const factors = behind.scale ?? Tensor.ones(beside);
      const shifts = behind.bias ?? Tensor.zeros(beside);
      const perChannel = (of: (channel: number, group: number) => number): Tensor =>
        new Tensor(
          Float32Array.from({ length: channels }, (_, c) =>
            of(c, Math.floor((c * groups) / channels)),
          ),
          [channels],
        );
      const [s, b, f, m] = [scales, biases, factors, shifts].map((t) => t.data as Float32Array);
      const scale = perChannel((c, g) => s[g] * f[c]);
      const bias = perChannel((c, g) => b[g] * f[c] + m[c]);
      const { eps } = node.attrs as InstanceNormAttrs;
      graph.replace(
        behind.last,
        groupNormOp,
        [
          found.x,
          graph.constant(scale, `${node.name}.scale`),
          graph.constant(bias, `${node.name}.bias`),
        ],
        { groups, eps },
      );
      changes++;
    }
    return changes;
  },
};
