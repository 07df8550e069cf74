/** Normalisations and softmax. */

import type { OpDef } from "../../core/op.js";
import { normalizeAxis, sizeOf } from "../../core/shape.js";
import { Tensor } from "../../core/tensor.js";
import type { Value } from "../../graph/graph.js";
import { arithmeticOps } from "../../ops/binary.js";
import { reshapeOp } from "../../ops/data.js";
import {
  batchNormOp,
  groupNormOp,
  instanceNormOp,
  layerNormOp,
  localResponseNormOp,
  lpNormalizeOp,
  meanVarianceNormOp,
} from "../../ops/norm.js";
import { reduceOps } from "../../ops/reduce.js";
import { type AxisAttrs, hardmaxOp, logSoftmaxOp, softmaxOp } from "../../ops/softmax.js";
import { unaryOps } from "../../ops/unary.js";
import type { Converter, NodeContext } from "../context.js";

const batchNorm: Converter = (c) => {
  const training =
    c.opset >= 14
      ? c.int("training_mode", 0) === 1
      : c.opset < 7 && c.int("is_test", 0) === 0 && c.wants(1);
  if (training) throw c.unsupported("in inference mode", "training mode");
  if (c.int("spatial", 1) !== 1) throw c.unsupported("with spatial 1", "0");
  return c.emit(batchNormOp, c.inputs().slice(0, 5), { eps: c.float("epsilon", 1e-5) });
};

/** Until opset 12 softmax took all axes from `axis` on as one. */
function alongAxis(op: OpDef<AxisAttrs>): Converter {
  return (c) => {
    const x = c.input(0);
    const { shape } = x.type;
    if (c.opset >= 13)
      return c.emit(op, [x], { axis: normalizeAxis("axis", c.int("axis", -1), shape.length) });
    const axis = normalizeAxis("axis", c.int("axis", 1), shape.length);
    if (axis === shape.length - 1) return c.emit(op, [x], { axis });
    const flat = c.emitOne(reshapeOp, [x], {
      shape: [sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis))],
    });
    return c.emit(reshapeOp, c.emit(op, [flat], { axis: 1 }), { shape });
  };
}

const layerNorm: Converter = (c) => {
  const x = c.input(0);
  const rank = x.type.shape.length;
  const axis = normalizeAxis("axis", c.int("axis", -1), rank);
  const eps = c.float("epsilon", 1e-5);
  const [y] = c.emit(layerNormOp, c.inputs(), { axis, eps });
  if (!c.wants(1) && !c.wants(2)) return [y];
  const axes = Array.from({ length: rank - axis }, (_, i) => axis + i);
  const mean = c.emitOne(reduceOps.reduceMean, [x], { axes, keepDims: true });
  return [y, mean, inverseDeviation(c, x, mean, axes, eps)];
};

/** 1 / sqrt(mean((x - mean)^2) + eps) */
function inverseDeviation(
  c: NodeContext,
  x: Value,
  mean: Value,
  axes: number[],
  eps: number,
): Value {
  const off = c.emitOne(arithmeticOps.sub, [x, mean], {});
  const variance = c.emitOne(reduceOps.reduceMean, c.emit(arithmeticOps.mul, [off, off], {}), {
    axes,
    keepDims: true,
  });
  const epsilon = c.made([], () => Tensor.full([], eps));
  const deviation = c.emitOne(
    unaryOps.sqrt,
    c.emit(arithmeticOps.add, [variance, epsilon], {}),
    {},
  );
  return c.emitOne(unaryOps.reciprocal, [deviation], {});
}

const groupNorm: Converter = (c) => {
  const [x, scale, bias] = c.inputs();
  const groups = c.int("num_groups");
  const channels = x.type.shape[1];
  if (groups < 1) throw c.invalid("with num_groups >= 1", `${groups}`);
  // Opset 18 gave one scale per group; opset 21 gives one per channel.
  const perChannel = (v: Value): Value => {
    if (v.type.shape[0] === channels || c.opset >= 21) return v;
    const each = c.emitOne(reshapeOp, [v], { shape: [groups, 1] });
    const ones = c.made([1, channels / groups], () =>
      Tensor.ones([1, channels / groups], v.type.dtype),
    );
    return c.emitOne(reshapeOp, c.emit(arithmeticOps.mul, [each, ones], {}), { shape: [channels] });
  };
  return c.emit(groupNormOp, [x, perChannel(scale), perChannel(bias)], {
    groups,
    eps: c.float("epsilon", 1e-5),
  });
};

const lrn: Converter = (c) =>
  c.emit(localResponseNormOp, [c.input(0)], {
    size: c.int("size"),
    alpha: c.float("alpha", 1e-4),
    beta: c.float("beta", 0.75),
    k: c.float("bias", 1),
  });

export const norms: Readonly<Record<string, Converter>> = {
  BatchNormalization: batchNorm,
  InstanceNormalization: (c) =>
    c.emit(instanceNormOp, c.inputs(), { eps: c.float("epsilon", 1e-5) }),
  GroupNormalization: groupNorm,
  LayerNormalization: layerNorm,
  LRN: lrn,
  LpNormalization: (c) =>
    c.emit(lpNormalizeOp, [c.input(0)], {
      p: c.int("p", 2),
      axis: normalizeAxis("axis", c.int("axis", -1), c.input(0).type.shape.length),
    }),
  MeanVarianceNormalization: (c) =>
    c.emit(meanVarianceNormOp, [c.input(0)], { axes: c.ints("axes") ?? [0, 2, 3] }),
  Softmax: alongAxis(softmaxOp),
  LogSoftmax: alongAxis(logSoftmaxOp),
  Hardmax: alongAxis(hardmaxOp),
};
