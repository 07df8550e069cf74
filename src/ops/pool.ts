/**
 * Pools: a window slides over every channel by itself and keeps one number of what it sees: the largest, the mean, a norm.
 * No parameters. One definition for 2-D and 3-D; (N, C, H, W) or (N, C, D, H, W).
 */
import { dispatch } from "../core/dispatch.js";
import type { DType } from "../core/dtype.js";
import { expected, OptionError, show } from "../core/errors.js";
import type { OpDef, TensorType } from "../core/op.js";
import { checkOptions, readBoolean, readInt, readInts } from "../core/options.js";
import { sizeOf } from "../core/shape.js";
import { numbersOf, type Tensor, writeNumber } from "../core/tensor.js";
import { span, type Window, windowOutput } from "../core/window.js";
import { avgPoolGradientOps, maxPoolGradientOps } from "./poolGradient.js";
import {
  batched,
  checkCount,
  checkDtype,
  checkRank,
  firstByImage,
  followsOnImages,
} from "./shared.js";
import {
  type AvgPoolAttrs,
  averageDivisor,
  forEachWindow,
  type MaxPoolAttrs,
  type PoolAttrs,
} from "./windows.js";

export type { AvgPoolAttrs, MaxPoolAttrs, PoolAttrs };

export interface LpPoolAttrs extends PoolAttrs {
  readonly p: number;
}

function inferPool(
  op: string,
  axes: number,
  inputs: readonly TensorType[],
  attrs: PoolAttrs,
  dtypes: readonly DType[],
): TensorType {
  checkCount(op, inputs, 1);
  const [x] = inputs;
  checkDtype(op, "input", x, dtypes);
  checkRank(op, "input", x, axes + 2, axes === 2 ? "(N, C, H, W)" : "(N, C, D, H, W)");
  return {
    dtype: x.dtype,
    shape: [x.shape[0], x.shape[1], ...windowOutput(op, x.shape.slice(2), attrs, attrs.ceilMode)],
  };
}

/** Applies `reduce` to the numbers of every window of every plane. */
function referencePool(
  x: Tensor,
  attrs: PoolAttrs,
  y: Tensor,
  reduce: (
    from: ArrayLike<number>,
    base: number,
    places: readonly number[],
    at: readonly number[],
    into: number,
  ) => number,
): void {
  const [spatial, out] = [x.shape.slice(2), y.shape.slice(2)];
  const [inSize, outSize] = [sizeOf(spatial), sizeOf(out)];
  const from = numbersOf(x);
  forEachWindow(spatial, out, attrs, (o, places, at) => {
    for (let plane = 0; plane < x.shape[0] * x.shape[1]; plane++) {
      const into = plane * outSize + o;
      writeNumber(y, into, reduce(from, plane * inSize, places, at, into));
    }
  });
}

function defineMaxPool(name: string, axes: 2 | 3): OpDef<MaxPoolAttrs> {
  return {
    name,
    byImage: (inputs, attrs, ofBatch) =>
      attrs.indices === "none" ? firstByImage(inputs, attrs, ofBatch) : undefined,
    infer(inputs, attrs) {
      const y = inferPool(name, axes, inputs, attrs, [
        "float32",
        "float64",
        "float16",
        "int8",
        "uint8",
      ]);
      return attrs.indices === "none" ? [y] : [y, { dtype: "int64", shape: y.shape }];
    },
    reference([x], attrs, [y, indices]) {
      const spatial = x.shape.slice(2);
      const size = sizeOf(spatial);
      const lowest = x.dtype === "int8" ? -128 : x.dtype === "uint8" ? 0 : Number.NEGATIVE_INFINITY;
      referencePool(x, attrs, y, (from, base, places, _at, into) => {
        let best = lowest;
        let where = places[0] ?? 0;
        for (const place of places) {
          const value = from[base + place];
          if (value > best || Number.isNaN(value)) {
            best = value;
            where = place;
            if (Number.isNaN(value)) break; // NaN wins, as in PyTorch
          }
        }
        if (indices)
          indices.data[into] = BigInt(flatIndex(attrs.indices, where, base, spatial, size));
        return best;
      });
    },
    window: (_inputs, attrs) => attrs,
    gradient: ({ inputs: [x], attrs, outputGradients: [dy] }) =>
      dispatch(maxPoolGradientOps[axes], [x, dy], attrs),
    layout: (inputs, attrs) =>
      axes === 2 && attrs.indices === "none" ? followsOnImages(inputs) : "plain",
  };
}

/** The place of a maximum in the count that the caller wants. Column-major counts the first spatial axis fastest. */
function flatIndex(
  count: MaxPoolAttrs["indices"],
  place: number,
  base: number,
  spatial: readonly number[],
  size: number,
): number {
  if (count === "plane") return place;
  if (count === "tensor") return base + place;
  let [rest, result, step] = [place, 0, size];
  for (let a = spatial.length - 1; a >= 0; a--) {
    step /= spatial[a];
    result += (rest % spatial[a]) * step;
    rest = Math.floor(rest / spatial[a]);
  }
  return base + result;
}

function defineAvgPool(name: string, axes: 2 | 3): OpDef<AvgPoolAttrs> {
  return {
    name,
    byImage: firstByImage,
    infer: (inputs, attrs) => [
      inferPool(name, axes, inputs, attrs, ["float32", "float64", "float16"]),
    ],
    reference([x], attrs, [y]) {
      const spatial = x.shape.slice(2);
      referencePool(x, attrs, y, (from, base, places, at) => {
        let sum = 0;
        for (const place of places) sum += from[base + place];
        return sum / averageDivisor(attrs, spatial, places.length, at);
      });
    },
    window: (_inputs, attrs) => attrs,
    gradient: ({ inputs: [x], attrs, outputGradients: [dy] }) =>
      dispatch(avgPoolGradientOps[axes], [dy], { ...attrs, inputShape: x.shape }),
    layout: followsOnImages,
  };
}

function defineLpPool(name: string, axes: 2 | 3): OpDef<LpPoolAttrs> {
  return {
    name,
    byImage: firstByImage,
    infer: (inputs, attrs) => [
      inferPool(name, axes, inputs, attrs, ["float32", "float64", "float16"]),
    ],
    reference([x], attrs, [y]) {
      referencePool(x, attrs, y, (from, base, places) => {
        let sum = 0;
        for (const place of places) sum += Math.abs(from[base + place]) ** attrs.p;
        return sum ** (1 / attrs.p);
      });
    },
    window: (_inputs, attrs) => attrs,
  };
}

export const maxPool2dOp = defineMaxPool("maxPool2d", 2);
export const maxPool3dOp = defineMaxPool("maxPool3d", 3);
export const avgPool2dOp = defineAvgPool("avgPool2d", 2);
export const avgPool3dOp = defineAvgPool("avgPool3d", 3);
export const lpPool2dOp = defineLpPool("lpPool2d", 2);
export const lpPool3dOp = defineLpPool("lpPool3d", 3);

/** Options of a pool; one number stands for all axes. */
export interface PoolOptions {
  /** Step of the window; default: the kernel size. */
  readonly stride?: number | readonly number[];
  /** Padding of each side, at most half the kernel; one per axis or, begins then ends, one per side; default 0. */
  readonly padding?: number | readonly number[];
  /** Keep a last window that hangs over the end; default false. */
  readonly ceilMode?: boolean;
}

export interface MaxPoolOptions extends PoolOptions {
  /** Distance between the elements of a window; default 1. */
  readonly dilation?: number | readonly number[];
}

export interface AvgPoolOptions extends PoolOptions {
  /** Zeros in the padding count in the mean; default true. */
  readonly countIncludePad?: boolean;
  /** Divide by this instead of the window's size. */
  readonly divisorOverride?: number;
}

type AllPoolOptions = MaxPoolOptions & AvgPoolOptions;

function readPool(
  op: string,
  axes: number,
  kernelSize: number | readonly number[],
  options: AllPoolOptions,
  known: readonly string[],
): PoolAttrs {
  checkOptions(op, options, ["stride", "padding", "ceilMode", ...known]);
  const kernel = readInts(op, "kernelSize", kernelSize, axes, 1);
  const dilation = readInts(op, "dilation", options.dilation ?? 1, axes, 1);
  const { padding: given = 0 } = options;
  const perSide = Array.isArray(given) && given.length === 2 * axes && axes > 1;
  const each = perSide
    ? readInts(op, "padding", given, 2 * axes, 0)
    : readInts(op, "padding", given, axes, 0);
  const padding = perSide ? each : [...each, ...each];
  padding.forEach((n, side) => {
    const reach = span(kernel[side % axes], dilation[side % axes]);
    if (n > reach / 2)
      throw new OptionError(
        expected(op, `padding of at most half the window (${Math.floor(reach / 2)})`, show(n)),
      );
  });
  return {
    kernel,
    stride: readInts(op, "stride", options.stride ?? kernel, axes, 1),
    padding,
    dilation,
    ceilMode: readBoolean(op, "ceilMode", options.ceilMode ?? false),
  };
}

/**
 * The largest number in each window, per channel. Padding never wins; NaN does.
 *
 * @param input       (N, C, H, W) or (C, H, W)
 * @param kernelSize  one number, or [height, width]
 * @returns (N, C, Hout, Wout), Hout = floor((H + top + bottom - span) / stride) + 1
 * @throws {ShapeError} if the window is larger than the padded input
 * @example the first 2x2 window of 0..8 as 3x3 holds 0, 1, 3, 4: its maximum is 4
 * @see Dive into Deep Learning, "Pooling"; torch.nn.functional.max_pool2d; ONNX operator MaxPool
 */
export function maxPool2d(
  input: Tensor,
  kernelSize: number | readonly number[],
  options: MaxPoolOptions = {},
): Tensor {
  const attrs = readPool("maxPool2d", 2, kernelSize, options, ["dilation"]);
  return batched(
    "maxPool2d",
    input,
    4,
    (x) => dispatch(maxPool2dOp, [x], { ...attrs, indices: "none" })[0],
  );
}

/** maxPool2d with the place of each maximum, counted in its channel's plane (int64): what maxUnpool2d takes. */
export function maxPool2dWithIndices(
  input: Tensor,
  kernelSize: number | readonly number[],
  options: MaxPoolOptions = {},
): [Tensor, Tensor] {
  const attrs = readPool("maxPool2dWithIndices", 2, kernelSize, options, ["dilation"]);
  let indices: Tensor | undefined;
  const y = batched("maxPool2dWithIndices", input, 4, (x) => {
    const [values, places] = dispatch(maxPool2dOp, [x], { ...attrs, indices: "plane" });
    indices = places;
    return values;
  });
  return [y, (indices as Tensor).reshape(y.shape)];
}

/** maxPool2d with a depth axis. */
export function maxPool3d(
  input: Tensor,
  kernelSize: number | readonly number[],
  options: MaxPoolOptions = {},
): Tensor {
  const attrs = readPool("maxPool3d", 3, kernelSize, options, ["dilation"]);
  return batched(
    "maxPool3d",
    input,
    5,
    (x) => dispatch(maxPool3dOp, [x], { ...attrs, indices: "none" })[0],
  );
}

/** maxPool2d on signals (N, C, L) or (C, L). */
export function maxPool1d(input: Tensor, kernelSize: number, options: MaxPoolOptions = {}): Tensor {
  const attrs = readPool("maxPool1d", 1, kernelSize, options, ["dilation"]);
  return onSignals(
    "maxPool1d",
    input,
    (x) => dispatch(maxPool2dOp, [x], { ...liftWindow(attrs), indices: "none" })[0],
  );
}

function readAvg(
  op: string,
  options: AvgPoolOptions,
): Pick<AvgPoolAttrs, "countIncludePad" | "divisorOverride"> {
  return {
    countIncludePad: readBoolean(op, "countIncludePad", options.countIncludePad ?? true),
    divisorOverride:
      options.divisorOverride === undefined
        ? 0
        : readInt(op, "divisorOverride", options.divisorOverride, 1),
  };
}

const avgNames = ["countIncludePad", "divisorOverride"];

/**
 * The mean of each window, per channel.
 *
 * @param input       (N, C, H, W) or (C, H, W)
 * @param kernelSize  one number, or [height, width]
 * @see Dive into Deep Learning, "Pooling"; torch.nn.functional.avg_pool2d; ONNX operator AveragePool
 */
export function avgPool2d(
  input: Tensor,
  kernelSize: number | readonly number[],
  options: AvgPoolOptions = {},
): Tensor {
  const attrs = {
    ...readPool("avgPool2d", 2, kernelSize, options, avgNames),
    ...readAvg("avgPool2d", options),
  };
  return batched("avgPool2d", input, 4, (x) => dispatch(avgPool2dOp, [x], attrs)[0]);
}

/** avgPool2d with a depth axis. */
export function avgPool3d(
  input: Tensor,
  kernelSize: number | readonly number[],
  options: AvgPoolOptions = {},
): Tensor {
  const attrs = {
    ...readPool("avgPool3d", 3, kernelSize, options, avgNames),
    ...readAvg("avgPool3d", options),
  };
  return batched("avgPool3d", input, 5, (x) => dispatch(avgPool3dOp, [x], attrs)[0]);
}

/** avgPool2d on signals (N, C, L) or (C, L). */
export function avgPool1d(
  input: Tensor,
  kernelSize: number,
  options: Omit<AvgPoolOptions, "divisorOverride"> = {},
): Tensor {
  const attrs = {
    ...readPool("avgPool1d", 1, kernelSize, options, ["countIncludePad"]),
    ...readAvg("avgPool1d", options),
  };
  return onSignals(
    "avgPool1d",
    input,
    (x) => dispatch(avgPool2dOp, [x], { ...attrs, ...liftWindow(attrs) })[0],
  );
}

/** A window along one axis as one over images of height 1. */
export function liftWindow<T extends Window>(attrs: T): T {
  return {
    ...attrs,
    kernel: [1, attrs.kernel[0]],
    stride: [1, attrs.stride[0]],
    padding: [0, attrs.padding[0], 0, attrs.padding[1]],
    dilation: [1, attrs.dilation[0]],
  };
}

function onSignals(op: string, input: Tensor, body: (image: Tensor) => Tensor): Tensor {
  return batched(op, input, 3, (x) => {
    const y = body(x.reshape([x.shape[0], x.shape[1], 1, x.shape[2]]));
    return y.reshape([y.shape[0], y.shape[1], y.shape[3]]);
  });
}
