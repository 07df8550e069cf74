/**
 * Batch normalisation with the statistics of the batch itself, as it is trained: per channel over images and pixels,
 *
 *   y = (x - mean) / sqrt(variance + eps) * scale + bias,    variance = mean of (x - mean)^2
 */
import type { OpDef } from "../core/op.js";
import { sizeOf } from "../core/shape.js";
import { Tensor } from "../core/tensor.js";
import type { EpsAttrs } from "./norm.js";
import { checkCount, checkFloat, checkShapeIs } from "./shared.js";

/** Calls visit(channel, first element, count) for every plane of (N, C, ...). */
function forEachPlane(
  shape: readonly number[],
  visit: (c: number, begin: number, end: number) => void,
): void {
  const plane = sizeOf(shape.slice(2));
  for (let p = 0; p < shape[0] * shape[1]; p++) visit(p % shape[1], p * plane, (p + 1) * plane);
}

/** Inputs x (N, C, ...), scale (C), bias (C); outputs y, mean (C), variance (C). */
export const batchNormTrainingOp: OpDef<EpsAttrs> = {
  name: "batchNormTraining",
  infer(inputs) {
    checkCount("batchNormTraining", inputs, 3);
    checkFloat("batchNormTraining", inputs);
    const [x] = inputs;
    const perChannel = { dtype: x.dtype, shape: [x.shape[1]] };
    for (const [i, what] of ["scale", "bias"].entries())
      checkShapeIs("batchNormTraining", what, inputs[i + 1], perChannel.shape);
    return [x, perChannel, perChannel];
  },
  reference([x, scale, bias], { eps }, [y, mean, variance]) {
    const [from, to, s, b] = [x, y, scale, bias].map((t) => t.data as Float32Array);
    const channels = x.shape[1];
    const count = x.size / channels;
    const means = new Float64Array(channels);
    const squares = new Float64Array(channels);
    forEachPlane(x.shape, (c, begin, end) => {
      for (let i = begin; i < end; i++) means[c] += from[i] / count;
    });
    forEachPlane(x.shape, (c, begin, end) => {
      for (let i = begin; i < end; i++) squares[c] += (from[i] - means[c]) ** 2 / count;
    });
    forEachPlane(x.shape, (c, begin, end) => {
      const factor = s[c] / Math.sqrt(squares[c] + eps);
      for (let i = begin; i < end; i++) to[i] = (from[i] - means[c]) * factor + b[c];
    });
    mean.data.set(means as never);
    variance.data.set(squares as never);
  },
  gradient({
    inputs: [x, scale],
    attrs: { eps },
    outputs: [, mean, variance],
    outputGradients: [dy],
  }) {
    const [dx, dScale, dBias] = [x, scale, scale].map((t) => Tensor.zeros(t.shape, t.dtype));
    const [from, change, to] = [x, dy, dx].map((t) => t.data as Float32Array);
    const [s, m, v] = [scale, mean, variance].map((t) => t.data as Float32Array);
    const count = x.size / x.shape[1];
    const [sums, products] = [new Float64Array(s.length), new Float64Array(s.length)];
    const inverse = Float64Array.from(v, (variance) => 1 / Math.sqrt(variance + eps));
    forEachPlane(x.shape, (c, begin, end) => {
      for (let i = begin; i < end; i++) {
        sums[c] += change[i];
        products[c] += change[i] * (from[i] - m[c]) * inverse[c];
      }
    });
    // The mean and the variance change with every x, which takes the mean of dy, and of dy along xhat, off again.
    forEachPlane(x.shape, (c, begin, end) => {
      for (let i = begin; i < end; i++) {
        const normal = (from[i] - m[c]) * inverse[c];
        to[i] = s[c] * inverse[c] * (change[i] - sums[c] / count - (normal * products[c]) / count);
      }
    });
    dScale.data.set(products as never);
    dBias.data.set(sums as never);
    return [dx, dScale, dBias];
  },
};
