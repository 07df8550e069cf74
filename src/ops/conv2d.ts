/**
 * conv2d: 2-D cross-correlation with channels, the operation that deep learning calls convolution.
 *
 *   out[n, o, y, x] = bias[o] + sum over c, i, j of  input[n, g*Cg + c, y*sy + i*dy - top, x*sx + j*dx - left] * weight[o, c, i, j]
 *
 * with g the group of output channel o and Cg = Cin / groups; outside the input is zero.
 */
import { dispatch } from "../core/dispatch.js";
import { expected, OptionError, ShapeError, show, showShape } from "../core/errors.js";
import type { Activation, OpDef, TensorType } from "../core/op.js";
import { checkOptions, readChoice, readInt, readInts } from "../core/options.js";
import { sizeOf } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";
import { samePadding, type Window, windowOutput } from "../core/window.js";
import { conv2dInputGradientOp, conv2dWeightGradientOp } from "./conv2dGradient.js";
import { applyActivation, applyResidual } from "./epilogue.js";
import { padOp } from "./pad.js";
import { reduceOps } from "./reduce.js";
import {
  batched,
  checkCount,
  checkFloat,
  checkRank,
  checkShapeIs,
  firstByImage,
} from "./shared.js";

export interface Conv2dAttrs {
  readonly stride: readonly number[];
  /** top, left, bottom, right */
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
  readonly activation?: Activation;
  /** The last input is added before the activation. */
  readonly residual?: boolean;
}

/** Bias and residual among the inputs after x and weight. */
export function convInputs<T>(
  inputs: readonly T[],
  attrs: { readonly residual?: boolean },
): { bias?: T; residual?: T } {
  const end = attrs.residual ? inputs.length - 1 : inputs.length;
  return {
    bias: end > 2 ? inputs[2] : undefined,
    residual: attrs.residual ? inputs[end] : undefined,
  };
}

export const convWindow = (
  inputs: readonly TensorType[],
  attrs: Omit<Window, "kernel">,
): Window => ({
  kernel: inputs[1].shape.slice(2),
  stride: attrs.stride,
  padding: attrs.padding,
  dilation: attrs.dilation,
});

/** Checks channels and groups; shared by conv2d, conv3d and their integer kin. */
export function checkConvChannels(
  op: string,
  x: TensorType,
  weight: TensorType,
  groups: number,
): void {
  const [cout, perGroup] = weight.shape;
  const cin = x.shape[1];
  if (cin !== perGroup * groups) {
    const of = groups === 1 ? "" : ` and groups ${groups}`;
    throw new ShapeError(
      expected(
        op,
        `${perGroup * groups} input channels for weight ${showShape(weight.shape)}${of}`,
        `${cin} in input ${showShape(x.shape)}`,
      ),
    );
  }
  if (cout % groups !== 0) {
    throw new ShapeError(
      expected(
        op,
        `output channels divisible by groups ${groups}`,
        `${cout} in weight ${showShape(weight.shape)}`,
      ),
    );
  }
}

export const conv2dOp: OpDef<Conv2dAttrs> = {
  name: "conv2d",
  byImage: firstByImage,
  epilogue: "residual",
  padsWithZeros: true,

  infer(inputs, attrs) {
    checkCount("conv2d", inputs, 2, attrs.residual ? 4 : 3);
    checkFloat("conv2d", inputs);
    const [x, weight] = inputs;
    checkRank("conv2d", "input", x, 4, "(N, C, H, W)");
    checkRank("conv2d", "weight", weight, 4, "(Cout, Cin / groups, Kh, Kw)");
    checkConvChannels("conv2d", x, weight, attrs.groups);
    const window = convWindow(inputs, attrs);
    const shape = [
      x.shape[0],
      weight.shape[0],
      ...windowOutput("conv2d", x.shape.slice(2), window),
    ];
    const { bias, residual } = convInputs(inputs, attrs);
    if (bias) checkShapeIs("conv2d", "bias", bias, [weight.shape[0]]);
    if (residual) checkShapeIs("conv2d", "residual", residual, shape);
    return [{ dtype: x.dtype, shape }];
  },

  reference(inputs, attrs, [out]) {
    const [x, weight] = inputs;
    const { bias, residual } = convInputs(inputs, attrs);
    const [batch, cin, height, width] = x.shape;
    const [cout, perGroup, kh, kw] = weight.shape;
    const [, , outHeight, outWidth] = out.shape;
    const [sy, sx] = attrs.stride;
    const [dy, dx] = attrs.dilation;
    const [top, left] = attrs.padding;
    const [from, w] = [x.data as Float32Array, weight.data as Float32Array];
    const outPerGroup = cout / attrs.groups;
    let next = 0;
    for (let n = 0; n < batch; n++) {
      for (let o = 0; o < cout; o++) {
        const firstChannel = Math.floor(o / outPerGroup) * perGroup;
        const start = bias ? (bias.data[o] as number) : 0;
        for (let y = 0; y < outHeight; y++) {
          for (let xo = 0; xo < outWidth; xo++) {
            let sum = start;
            for (let c = 0; c < perGroup; c++) {
              const plane = (n * cin + firstChannel + c) * height;
              for (let i = 0; i < kh; i++) {
                const row = y * sy + i * dy - top;
                if (row < 0 || row >= height) continue; // padding: zero
                const weightRow = ((o * perGroup + c) * kh + i) * kw;
                for (let j = 0; j < kw; j++) {
                  const column = xo * sx + j * dx - left;
                  if (column < 0 || column >= width) continue;
                  sum += from[(plane + row) * width + column] * w[weightRow + j];
                }
              }
            }
            out.data[next++] = sum;
          }
        }
      }
    }
    applyResidual(out, residual);
    applyActivation(out, attrs.activation);
  },

  gradient({ inputs, attrs, outputGradients: [dy], needs }) {
    const [x, weight, bias] = inputs;
    const { stride, padding, dilation, groups } = attrs;
    const window = { stride, padding, dilation, groups };
    const [dx] = needs[0]
      ? dispatch(conv2dInputGradientOp, [dy, weight], { ...window, inputShape: x.shape })
      : [];
    const [dw] = needs[1]
      ? dispatch(conv2dWeightGradientOp, [x, dy], { ...window, weightShape: weight.shape })
      : [];
    const perChannel = { axes: [0, 2, 3], keepDims: false };
    return [dx, dw, bias && dispatch(reduceOps.reduceSum, [dy], perChannel)[0]];
  },

  window: convWindow,
  parameters: (inputs, { residual }) => (inputs.length - (residual ? 1 : 0) > 2 ? [1, 2] : [1]),
  macs: ([x, weight], attrs) =>
    sizeOf(weight.shape) *
    x.shape[0] *
    windowSize(windowOutput("conv2d", x.shape.slice(2), convWindow([x, weight], attrs))),
  layout: ([x, weight], attrs) =>
    x.dtype !== "float32"
      ? "plain"
      : fewChannels(x, weight, attrs) || isDepthwise(weight, attrs)
        ? "follows"
        : isLight(x, weight, attrs) || hasSmallGroups(x, weight, attrs)
          ? "either"
          : "prefers",
};

/** There are kernels for plain images and for blocks; a reorder takes longer than either. */
const isDepthwise = ({ shape: [, inPerGroup] }: TensorType, attrs: Conv2dAttrs): boolean =>
  inPerGroup === 1 && attrs.groups > 1 && !attrs.residual;

/**
 * A convolution in which each number is part of so few products that bringing images into blocks and back takes a good part of its time: a 1x1, a stem, one
 * of few channels. There are kernels for plain images, whose vectors are made of pixels. More products are faster by blocks, and so are chains of 16 channels.
 */
function isLight(
  { shape: [, channels] }: TensorType,
  { shape: [out, , kh, kw] }: TensorType,
  { stride, padding, groups, residual }: Conv2dAttrs,
): boolean {
  if (groups !== 1 || residual) return false;
  const steps = stride[0] * stride[1];
  const pointwise = kh * kw * steps === 1 && padding.every((n) => n === 0);
  if (!pointwise && (channels > 12 || kh * kw > 25)) return false;
  return channels * out * kh * kw <= 110 * (channels * steps + out);
}

/**
 * Less is left to be done in blocks than to bring results out of them, and there is a kernel for plain images; whose vectors, pixels of a row, are not full where
 * rows are short.
 */
const hasSmallGroups = (
  { shape: [, , , width] }: TensorType,
  { shape: [out, inPerGroup] }: TensorType,
  { groups, residual }: Conv2dAttrs,
): boolean => groups > 1 && !residual && inPerGroup <= 8 && out <= 8 * groups && width > 16;

/**
 * A filter of a grey or RGB picture: blocks of 8 channels would be half empty, and there is a kernel for plain images. Or a small image of less than
 * a block: to bring it into blocks and back takes as long as a good part of the sums, and zeros would be multiplied.
 */
function fewChannels(
  { shape: [, channels, height, width] }: TensorType,
  { shape: [out, inPerGroup] }: TensorType,
  { stride, groups, residual }: Conv2dAttrs,
): boolean {
  if (groups !== 1 || residual || stride[0] * stride[1] !== 1) return false;
  return (inPerGroup <= 4 && out <= 8) || (channels < 8 && out <= 16 && height * width <= 1024);
}

const windowSize = (sizes: readonly number[]): number =>
  sizes.reduce((product, n) => product * n, 1);

export type PaddingMode = "zeros" | "reflect" | "replicate" | "circular";

/** Options of a convolution with n spatial axes; one number stands for all axes. */
export interface ConvOptions {
  /** (Cout,), added to every output pixel of its channel. Default: none. */
  readonly bias?: Tensor;
  /** Step of the window; default 1. */
  readonly stride?: number | readonly number[];
  /**
   * Pixels added around the input: one number, one per axis, one per side (begins, then ends), "valid" (none) or "same"
   * (stride 1 only: the output has the input's size). Default 0.
   */
  readonly padding?: number | readonly number[] | "same" | "valid";
  /** Distance between taps of the kernel; default 1. */
  readonly dilation?: number | readonly number[];
  /** Channels are split into this many groups that do not see each other; default 1. */
  readonly groups?: number;
  /** What the padding holds; default "zeros". */
  readonly paddingMode?: PaddingMode;
}

/** Normalised attributes of a convolution and what must be padded before it (modes other than zeros). */
export function readConvOptions(
  op: string,
  options: ConvOptions,
  spatial: readonly number[],
  kernel: readonly number[],
): {
  attrs: Omit<Conv2dAttrs, "activation">;
  padBefore?: { pads: number[]; mode: "reflect" | "edge" | "wrap" };
} {
  checkOptions(op, options, ["bias", "stride", "padding", "dilation", "groups", "paddingMode"]);
  const axes = spatial.length;
  const stride = readInts(op, "stride", options.stride ?? 1, axes, 1);
  const dilation = readInts(op, "dilation", options.dilation ?? 1, axes, 1);
  const groups = readInt(op, "groups", options.groups ?? 1, 1);
  const padding = readPadding(op, options.padding ?? 0, { kernel, stride, dilation }, spatial);
  const mode = readChoice(op, "paddingMode", options.paddingMode ?? "zeros", [
    "zeros",
    "reflect",
    "replicate",
    "circular",
  ]);
  if (mode === "zeros" || padding.every((n) => n === 0))
    return { attrs: { stride, padding, dilation, groups } };
  const names = { reflect: "reflect", replicate: "edge", circular: "wrap" } as const;
  const zeros = new Array<number>(2 * axes).fill(0);
  return {
    attrs: { stride, padding: zeros, dilation, groups },
    padBefore: {
      pads: [0, 0, ...padding.slice(0, axes), 0, 0, ...padding.slice(axes)],
      mode: names[mode],
    },
  };
}

function readPadding(
  op: string,
  padding: unknown,
  window: Omit<Window, "padding">,
  spatial: readonly number[],
): number[] {
  const axes = spatial.length;
  if (padding === "valid") return new Array<number>(2 * axes).fill(0);
  if (padding === "same") {
    if (window.stride.some((s) => s !== 1)) {
      throw new OptionError(expected(op, 'stride 1 with padding "same"', show([...window.stride])));
    }
    return samePadding(spatial, window);
  }
  if (typeof padding === "string") {
    throw new OptionError(
      expected(op, 'an integer, integers, "same" or "valid" for "padding"', show(padding)),
    );
  }
  if (Array.isArray(padding) && padding.length === 2 * axes && axes > 1) {
    return readInts(op, "padding", padding, 2 * axes, 0);
  }
  const each = readInts(op, "padding", padding, axes, 0);
  return [...each, ...each];
}

/**
 * 2-D cross-correlation with channels ("convolution" in deep learning).
 *
 * @param input    (N, Cin, H, W) or (Cin, H, W), float32
 * @param weight   (Cout, Cin / groups, Kh, Kw)
 * @param options  bias, stride, padding, dilation, groups, paddingMode; see ConvOptions
 * @returns (N, Cout, Hout, Wout), or (Cout, Hout, Wout) for an input without a batch,
 *          Hout = floor((H + top + bottom - dy * (Kh - 1) - 1) / sy) + 1
 * @throws {ShapeError} if channels and groups disagree, or the window is larger than the padded input
 * @throws {OptionError} if an option is misspelt or out of range
 * @see Dive into Deep Learning, "Convolutions for Images"; torch.nn.functional.conv2d; ONNX operator Conv
 */
export function conv2d(input: Tensor, weight: Tensor, options: ConvOptions = {}): Tensor {
  return batched("conv2d", input, 4, (x) => {
    const { attrs, padBefore } = readConvOptions(
      "conv2d",
      options,
      x.shape.slice(2),
      weight.shape.slice(2),
    );
    const padded = padBefore ? dispatch(padOp, [x], { ...padBefore, value: 0 })[0] : x;
    const inputs = options.bias ? [padded, weight, options.bias] : [padded, weight];
    return dispatch(conv2dOp, inputs, attrs)[0];
  });
}

/**
 * 1-D cross-correlation with channels: conv2d on images of height 1.
 *
 * @param input   (N, Cin, L) or (Cin, L)
 * @param weight  (Cout, Cin / groups, K)
 * @returns (N, Cout, Lout) or (Cout, Lout)
 */
export function conv1d(input: Tensor, weight: Tensor, options: ConvOptions = {}): Tensor {
  return batched("conv1d", input, 3, (x) => {
    checkRank("conv1d", "weight", weight, 3, "(Cout, Cin / groups, K)");
    const { attrs, padBefore } = readConvOptions(
      "conv1d",
      options,
      x.shape.slice(2),
      weight.shape.slice(2),
    );
    const padded = padBefore ? dispatch(padOp, [x], { ...padBefore, value: 0 })[0] : x;
    const lifted = [lift(padded), lift(weight), ...(options.bias ? [options.bias] : [])];
    const [begin, end] = attrs.padding;
    const y = dispatch(conv2dOp, lifted, {
      groups: attrs.groups,
      stride: [1, attrs.stride[0]],
      dilation: [1, attrs.dilation[0]],
      padding: [0, begin, 0, end],
    })[0];
    return y.reshape([y.shape[0], y.shape[1], y.shape[3]]);
  });
}

/** (A, B, L) -> (A, B, 1, L): the same data as an image of height 1. */
const lift = (t: Tensor): Tensor => t.reshape([t.shape[0], t.shape[1], 1, t.shape[2]]);
