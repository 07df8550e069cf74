/**
 * Normalisations. All but batchNorm take their statistics from the input itself:
 *
 *   y = (x - mean) / sqrt(variance + eps) * scale + bias
 *
 * batchNorm per channel from stored statistics; instanceNorm over each plane; groupNorm over groups of channels; layerNorm over the
 * last axes; channelNorm over the channels of each pixel, as layerNorm does where they are the last axis; meanVarianceNorm over given axes. localResponseNorm and lpNormalize divide by a norm of the neighbours.
 */
import { dispatch } from "../core/dispatch.js";
import { expected, ShapeError, showShape } from "../core/errors.js";
import type { Activation, OpDef, TensorType } from "../core/op.js";
import { checkOptions, readBoolean, readInt, readNumberOption } from "../core/options.js";
import { broadcastStrides, forEachIndex, normalizeAxis, sizeOf } from "../core/shape.js";
import { numbersOf, Tensor, writeNumber } from "../core/tensor.js";
import { batchNormTrainingOp } from "./batchNormTraining.js";
import { applyActivation } from "./epilogue.js";
import {
  byImageUnlessAlong,
  checkCount,
  checkFloat,
  checkShapeIs,
  firstByImage,
  followsOnImages,
  samePlace,
} from "./shared.js";

export interface EpsAttrs {
  readonly eps: number;
}

function checkChannels(op: string, shape: readonly number[]): void {
  if (shape.length < 2) throw new ShapeError(expected(op, "input (N, C, ...)", showShape(shape)));
}

export interface BatchNormAttrs extends EpsAttrs {
  readonly activation?: Activation;
}

export const batchNormOp: OpDef<BatchNormAttrs> = {
  name: "batchNorm",
  byImage: firstByImage,
  epilogue: "activation",
  sight: () => samePlace,
  infer(inputs) {
    checkCount("batchNorm", inputs, 5);
    checkFloat("batchNorm", inputs);
    const [x] = inputs;
    checkChannels("batchNorm", x.shape);
    ["scale", "bias", "mean", "variance"].forEach((what, i) => {
      checkShapeIs("batchNorm", what, inputs[i + 1], [x.shape[1]]);
    });
    return [{ dtype: x.dtype, shape: x.shape }];
  },
  reference([x, scale, bias, mean, variance], { eps, activation }, [y]) {
    const channels = x.shape[1];
    const plane = sizeOf(x.shape.slice(2));
    const [from, s, b, m, v] = [x, scale, bias, mean, variance].map(numbersOf);
    for (let i = 0; i < from.length; i++) {
      const c = Math.floor(i / plane) % channels;
      writeNumber(y, i, ((from[i] - m[c]) / Math.sqrt(v[c] + eps)) * s[c] + b[c]);
    }
    applyActivation(y, activation);
  },
  gradient({ inputs: [x, ...perChannel], attrs: { eps }, outputGradients: [dy] }) {
    const [dx, dScale, dBias, dMean, dVariance] = [x, ...perChannel].map((t) =>
      Tensor.zeros(t.shape, t.dtype),
    );
    const [from, s, , m, v] = [x, ...perChannel].map((t) => t.data as Float32Array);
    const [change, to] = [dy.data as Float32Array, dx.data as Float32Array];
    const plane = sizeOf(x.shape.slice(2));
    const add = (t: Tensor, c: number, value: number): void => {
      t.data[c] = (t.data[c] as number) + value;
    };
    for (let i = 0; i < from.length; i++) {
      const c = Math.floor(i / plane) % x.shape[1];
      const inverse = 1 / Math.sqrt(v[c] + eps);
      const normal = (from[i] - m[c]) * inverse;
      to[i] = change[i] * s[c] * inverse;
      add(dScale, c, change[i] * normal);
      add(dBias, c, change[i]);
      add(dMean, c, -to[i]);
      add(dVariance, c, -0.5 * to[i] * normal * inverse);
    }
    return [dx, dScale, dBias, dMean, dVariance];
  },
  layout: followsOnImages,
};

/** Mean and 1 / sqrt(variance + eps) of from[start .. start + count). */
function statistics(
  from: ArrayLike<number>,
  start: number,
  count: number,
  eps: number,
): [number, number] {
  let mean = 0;
  for (let i = start; i < start + count; i++) mean += from[i];
  mean /= count;
  let variance = 0;
  for (let i = start; i < start + count; i++) variance += (from[i] - mean) ** 2;
  return [mean, 1 / Math.sqrt(variance / count + eps)];
}

export interface InstanceNormAttrs extends EpsAttrs {
  readonly activation?: Activation;
}

export interface GroupNormAttrs extends InstanceNormAttrs {
  readonly groups: number;
}

/** Scale and bias per channel, statistics per group of channels. */
function referenceGroupNorm(
  [x, scale, bias]: readonly Tensor[],
  { groups, eps, activation }: GroupNormAttrs,
  y: Tensor,
): void {
  const channels = x.shape[1];
  const plane = sizeOf(x.shape.slice(2));
  const count = (channels / groups) * plane;
  const [from, s, b] = [x, scale, bias].map(numbersOf);
  for (let g = 0; g < x.shape[0] * groups; g++) {
    const [mean, inverse] = statistics(from, g * count, count, eps);
    for (let i = g * count; i < (g + 1) * count; i++) {
      const c = Math.floor(i / plane) % channels;
      writeNumber(y, i, (from[i] - mean) * inverse * s[c] + b[c]);
    }
  }
  applyActivation(y, activation);
}

/** The type of x, which stands first of three: beside it scale and bias, one number per channel. */
function inferPerChannel(op: string, inputs: readonly TensorType[]): TensorType[] {
  checkCount(op, inputs, 3);
  checkFloat(op, inputs);
  const [x, scale, bias] = inputs;
  checkChannels(op, x.shape);
  checkShapeIs(op, "scale", scale, [x.shape[1]]);
  checkShapeIs(op, "bias", bias, [x.shape[1]]);
  return [{ dtype: x.dtype, shape: x.shape }];
}

export const instanceNormOp: OpDef<InstanceNormAttrs> = {
  name: "instanceNorm",
  byImage: firstByImage,
  epilogue: "activation",
  layout: followsOnImages,
  infer: (inputs) => inferPerChannel("instanceNorm", inputs),
  reference: (inputs, attrs, [y]) =>
    referenceGroupNorm(inputs, { ...attrs, groups: inputs[0].shape[1] }, y),
};

export const groupNormOp: OpDef<GroupNormAttrs> = {
  name: "groupNorm",
  byImage: firstByImage,
  epilogue: "activation",
  layout: followsOnImages,
  infer(inputs, { groups }) {
    const [type] = inferPerChannel("groupNorm", inputs);
    if (type.shape[1] % groups !== 0)
      throw new ShapeError(
        expected("groupNorm", `channels divisible by groups ${groups}`, `${type.shape[1]}`),
      );
    return [type];
  },
  reference: (inputs, attrs, [y]) => referenceGroupNorm(inputs, attrs, y),
};

/** Statistics of the channels of one pixel; scale and bias per channel. */
export const channelNormOp: OpDef<EpsAttrs> = {
  name: "channelNorm",
  byImage: firstByImage,
  sight: () => samePlace,
  layout: followsOnImages,
  infer: (inputs) => inferPerChannel("channelNorm", inputs),
  reference([x, scale, bias], { eps }, [y]) {
    const channels = x.shape[1];
    const plane = sizeOf(x.shape.slice(2));
    const [from, s, b] = [x, scale, bias].map(numbersOf);
    for (let n = 0; n < x.shape[0]; n++) {
      for (let p = 0; p < plane; p++) {
        const place = (c: number): number => (n * channels + c) * plane + p;
        const pixel = Array.from({ length: channels }, (_, c) => from[place(c)]);
        const [mean, inverse] = statistics(pixel, 0, channels, eps);
        for (let c = 0; c < channels; c++)
          writeNumber(y, place(c), (pixel[c] - mean) * inverse * s[c] + b[c]);
      }
    }
  },
};

export interface LayerNormAttrs extends EpsAttrs {
  /** First of the normalised axes. */
  readonly axis: number;
}

export const layerNormOp: OpDef<LayerNormAttrs> = {
  name: "layerNorm",
  byImage: byImageUnlessAlong(({ axis }) => [axis]),
  infer(inputs, { axis }) {
    checkCount("layerNorm", inputs, 2, 3);
    checkFloat("layerNorm", inputs);
    const [x, ...affine] = inputs;
    normalizeAxis("layerNorm", axis, x.shape.length);
    const normalised = x.shape.slice(axis);
    for (const t of affine) {
      const padded = [
        ...new Array<number>(Math.max(0, normalised.length - t.shape.length)).fill(1),
        ...t.shape,
      ];
      if (
        padded.length > normalised.length ||
        padded.some((n, i) => n !== 1 && n !== normalised[i])
      ) {
        throw new ShapeError(
          expected(
            "layerNorm",
            `scale and bias that broadcast to ${showShape(normalised)}`,
            showShape(t.shape),
          ),
        );
      }
    }
    return [{ dtype: x.dtype, shape: x.shape }];
  },
  reference([x, scale, bias], { axis, eps }, [y]) {
    const normalised = x.shape.slice(axis);
    const count = sizeOf(normalised);
    const from = numbersOf(x);
    const s = expandTo(scale, normalised);
    const b = bias && expandTo(bias, normalised);
    for (let start = 0; start < from.length; start += count) {
      const [mean, inverse] = statistics(from, start, count, eps);
      for (let i = 0; i < count; i++) {
        writeNumber(y, start + i, (from[start + i] - mean) * inverse * s[i] + (b ? b[i] : 0));
      }
    }
  },
};

/** The numbers of a tensor broadcast to a shape. */
function expandTo(t: Tensor, shape: readonly number[]): number[] {
  const strides = broadcastStrides(t.shape, shape);
  const from = numbersOf(t);
  const result: number[] = [];
  forEachIndex(shape, (index) => {
    result.push(from[index.reduce((sum, i, axis) => sum + i * strides[axis], 0)]);
  });
  return result;
}

export interface LocalResponseNormAttrs {
  readonly size: number;
  readonly alpha: number;
  readonly beta: number;
  readonly k: number;
}

/** y[c] = x[c] / (k + alpha / size * sum of squares of the `size` channels around c)^beta */
export const localResponseNormOp: OpDef<LocalResponseNormAttrs> = {
  name: "localResponseNorm",
  byImage: firstByImage,
  sight: () => samePlace,
  layout: followsOnImages,
  infer(inputs) {
    checkCount("localResponseNorm", inputs, 1);
    checkFloat("localResponseNorm", inputs);
    checkChannels("localResponseNorm", inputs[0].shape);
    return [{ dtype: inputs[0].dtype, shape: inputs[0].shape }];
  },
  reference([x], { size, alpha, beta, k }, [y]) {
    const [batch, channels] = x.shape;
    const plane = sizeOf(x.shape.slice(2));
    const from = numbersOf(x);
    const before = Math.floor((size - 1) / 2);
    const after = size - 1 - before;
    for (let n = 0; n < batch; n++) {
      for (let c = 0; c < channels; c++) {
        for (let p = 0; p < plane; p++) {
          let sum = 0;
          for (
            let near = Math.max(0, c - before);
            near <= Math.min(channels - 1, c + after);
            near++
          ) {
            sum += from[(n * channels + near) * plane + p] ** 2;
          }
          const i = (n * channels + c) * plane + p;
          writeNumber(y, i, from[i] / (k + (alpha / size) * sum) ** beta);
        }
      }
    }
  },
};

/** Calls `visit` with the flat indices of each set of elements that share all indices but those of `axes`. */
function forEachFibre(
  shape: readonly number[],
  axes: readonly number[],
  visit: (indices: readonly number[]) => void,
): void {
  const fibres = new Map<string, number[]>();
  forEachIndex(shape, (index, flat) => {
    const key = index.filter((_, axis) => !axes.includes(axis)).join();
    const fibre = fibres.get(key);
    if (fibre) fibre.push(flat);
    else fibres.set(key, [flat]);
  });
  for (const fibre of fibres.values()) visit(fibre);
}

export const lpNormalizeOp: OpDef<{ readonly p: number; readonly axis: number }> = {
  name: "lpNormalize",
  byImage: byImageUnlessAlong(({ axis }) => [axis]),
  infer(inputs, { axis }) {
    checkCount("lpNormalize", inputs, 1);
    checkFloat("lpNormalize", inputs);
    normalizeAxis("lpNormalize", axis, inputs[0].shape.length);
    return [{ dtype: inputs[0].dtype, shape: inputs[0].shape }];
  },
  reference([x], { p, axis }, [y]) {
    const from = numbersOf(x);
    forEachFibre(x.shape, [axis], (fibre) => {
      const norm = fibre.reduce((sum, i) => sum + Math.abs(from[i]) ** p, 0) ** (1 / p);
      for (const i of fibre) writeNumber(y, i, norm === 0 ? 0 : from[i] / norm);
    });
  },
};

export const meanVarianceNormOp: OpDef<{ readonly axes: readonly number[] }> = {
  name: "meanVarianceNorm",
  byImage: byImageUnlessAlong(({ axes }) => axes),
  infer(inputs) {
    checkCount("meanVarianceNorm", inputs, 1);
    checkFloat("meanVarianceNorm", inputs);
    return [{ dtype: inputs[0].dtype, shape: inputs[0].shape }];
  },
  reference([x], { axes }, [y]) {
    const from = numbersOf(x);
    forEachFibre(x.shape, axes, (fibre) => {
      const values = fibre.map((i) => from[i]);
      const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
      const deviation = Math.sqrt(
        values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length,
      );
      // 1e-9 as in ONNX's function body: a constant input gives 0, not NaN.
      for (const i of fibre) writeNumber(y, i, (from[i] - mean) / (deviation + 1e-9));
    });
  },
};

/** Options of batchNorm. */
export interface BatchNormOptions {
  /** (C,), default ones. */
  readonly weight?: Tensor;
  /** (C,), default zeros. */
  readonly bias?: Tensor;
  /** Added to the variance; default 1e-5. */
  readonly eps?: number;
  /** Use the statistics of the batch, and move the running ones towards them. Default false. */
  readonly training?: boolean;
  /** How far the running statistics move, 0 to 1; default 0.1. */
  readonly momentum?: number;
}

/**
 * Normalises each channel with stored statistics, or in training with those of the batch.
 *
 * @param input        (N, C, ...)
 * @param runningMean  (C,)
 * @param runningVar   (C,)
 * @throws {ShapeError} in training, for one value per channel: its variance says nothing
 * @see torch.nn.functional.batch_norm; ONNX operator BatchNormalization
 */
export function batchNorm(
  input: Tensor,
  runningMean: Tensor,
  runningVar: Tensor,
  options: BatchNormOptions = {},
): Tensor {
  checkOptions("batchNorm", options, ["weight", "bias", "eps", "training", "momentum"]);
  const eps = readNumberOption("batchNorm", "eps", options.eps ?? 1e-5);
  const momentum = readNumberOption("batchNorm", "momentum", options.momentum ?? 0.1);
  const scale = options.weight ?? Tensor.ones(runningMean.shape, input.dtype);
  const bias = options.bias ?? Tensor.zeros(runningMean.shape, input.dtype);
  if (readBoolean("batchNorm", "training", options.training ?? false)) {
    const count = input.size / input.shape[1];
    if (!(count > 1))
      throw new ShapeError(
        expected(
          "batchNorm",
          "more than one value per channel in training",
          showShape(input.shape),
        ),
      );
    const [y, mean, variance] = dispatch(batchNormTrainingOp, [input, scale, bias], { eps });
    const move = (running: Tensor, to: Tensor, factor: number): void => {
      for (let c = 0; c < running.size; c++)
        running.data[c] =
          (1 - momentum) * (running.data[c] as number) + momentum * factor * (to.data[c] as number);
    };
    move(runningMean, mean, 1);
    move(runningVar, variance, count / (count - 1)); // the unbiased estimate, as in PyTorch
    return y;
  }
  return dispatch(batchNormOp, [input, scale, bias, runningMean, runningVar], { eps })[0];
}

/**
 * Divides by a power of the squares of neighbouring channels.
 *
 * @param size  channels in a neighbourhood
 * @see torch.nn.functional.local_response_norm
 */
export function localResponseNorm(
  input: Tensor,
  size: number,
  options: { alpha?: number; beta?: number; k?: number } = {},
): Tensor {
  checkOptions("localResponseNorm", options, ["alpha", "beta", "k"]);
  const { alpha = 1e-4, beta = 0.75, k = 1 } = options;
  // PyTorch's neighbourhood has its odd channel before, ONNX's after; the two agree for odd sizes.
  return dispatch(localResponseNormOp, [input], {
    size: readInt("localResponseNorm", "size", size, 1),
    alpha,
    beta,
    k,
  })[0];
}
