/**
 * convTranspose2d and convTranspose3d: the transpose of a convolution. Every input pixel spreads its value, times the kernel:
 *
 *   out[n, o, y*sy + i*dy - top, x*sx + j*dx - left] += input[n, c, y, x] * weight[c, o, i, j]
 *
 * Out size = (in - 1) * stride - begin - end + dilation * (kernel - 1) + 1 + outputPadding.
 */
import { dispatch } from "../core/dispatch.js";
import { expected, ShapeError, showShape } from "../core/errors.js";
import type { Activation, OpDef, TensorType } from "../core/op.js";
import { checkOptions, readInt, readInts } from "../core/options.js";
import { forEachIndex, sizeOf, stridesOf } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";
import { span } from "../core/window.js";
import { conv2dOp } from "./conv2d.js";
import { conv2dWeightGradientOp } from "./conv2dGradient.js";
import { sliceOp } from "./data.js";
import { applyActivation } from "./epilogue.js";
import { reduceOps } from "./reduce.js";
import {
  batched,
  checkCount,
  checkFloat,
  checkRank,
  checkShapeIs,
  firstByImage,
} from "./shared.js";

export interface ConvTransposeAttrs {
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly outputPadding: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
  readonly activation?: Activation;
}

function outputSizes(
  op: string,
  x: TensorType,
  weight: TensorType,
  attrs: ConvTransposeAttrs,
): number[] {
  const axes = x.shape.length - 2;
  return x.shape.slice(2).map((size, a) => {
    const out =
      (size - 1) * attrs.stride[a] -
      attrs.padding[a] -
      attrs.padding[axes + a] +
      span(weight.shape[2 + a], attrs.dilation[a]) +
      attrs.outputPadding[a];
    if (out < 1) {
      throw new ShapeError(
        expected(
          op,
          `an output of at least 1 along spatial axis ${a}`,
          `${out} (input ${showShape(x.shape)}, padding ${attrs.padding[a]} + ${attrs.padding[axes + a]})`,
        ),
      );
    }
    return out;
  });
}

/** Without the last rows and columns that no input reached (outputPadding), where their number is negative. */
function cropped(dy: Tensor, bottom: number, right: number): Tensor {
  if (bottom >= 0 && right >= 0) return dy;
  const sizes = [
    ...dy.shape.slice(0, 2),
    dy.shape[2] + Math.min(0, bottom),
    dy.shape[3] + Math.min(0, right),
  ];
  return dispatch(sliceOp, [dy], { starts: [0, 0, 0, 0], sizes, steps: [1, 1, 1, 1] })[0];
}

function defineConvTranspose(name: string, axes: 2 | 3): OpDef<ConvTransposeAttrs> {
  const form = axes === 2 ? "H, W" : "D, H, W";
  return {
    name,
    byImage: firstByImage,
    epilogue: axes === 2 ? "activation" : undefined,
    infer(inputs, attrs) {
      checkCount(name, inputs, 2, 3);
      checkFloat(name, inputs);
      const [x, weight, bias] = inputs;
      checkRank(name, "input", x, axes + 2, `(N, C, ${form})`);
      checkRank(name, "weight", weight, axes + 2, "(Cin, Cout / groups, kernel...)");
      if (x.shape[1] !== weight.shape[0] || x.shape[1] % attrs.groups !== 0) {
        throw new ShapeError(
          expected(
            name,
            `${weight.shape[0]} input channels, divisible by groups ${attrs.groups}, for weight ${showShape(weight.shape)}`,
            `${x.shape[1]} in input ${showShape(x.shape)}`,
          ),
        );
      }
      const cout = weight.shape[1] * attrs.groups;
      if (bias) checkShapeIs(name, "bias", bias, [cout]);
      return [
        { dtype: x.dtype, shape: [x.shape[0], cout, ...outputSizes(name, x, weight, attrs)] },
      ];
    },
    reference([x, weight, bias], attrs, [out]) {
      const spatial = x.shape.slice(2);
      const kernel = weight.shape.slice(2);
      const outSpatial = out.shape.slice(2);
      const [batch, cin] = x.shape;
      const perGroup = weight.shape[1];
      const cout = out.shape[1];
      const inPerGroup = cin / attrs.groups;
      const outStrides = stridesOf(outSpatial);
      const [inSize, outSize, kernelSize] = [sizeOf(spatial), sizeOf(outSpatial), sizeOf(kernel)];
      // Sums in double, rounded once at the end.
      const sums = new Float64Array(out.size);
      for (let i = 0; i < sums.length; i++)
        sums[i] = bias ? (bias.data[Math.floor(i / outSize) % cout] as number) : 0;
      forEachIndex(spatial, (position, p) => {
        forEachIndex(kernel, (tap, t) => {
          let target = 0;
          for (let a = 0; a < axes; a++) {
            const at =
              position[a] * attrs.stride[a] + tap[a] * attrs.dilation[a] - attrs.padding[a];
            if (at < 0 || at >= outSpatial[a]) return;
            target += at * outStrides[a];
          }
          for (let n = 0; n < batch; n++) {
            for (let c = 0; c < cin; c++) {
              const value = x.data[(n * cin + c) * inSize + p] as number;
              const firstOut = Math.floor(c / inPerGroup) * perGroup;
              for (let o = 0; o < perGroup; o++) {
                sums[(n * cout + firstOut + o) * outSize + target] +=
                  value * (weight.data[(c * perGroup + o) * kernelSize + t] as number);
              }
            }
          }
        });
      });
      out.data.set(sums as never);
      applyActivation(out, attrs.activation);
    },
    // Input i reaches i*stride + k*dilation - padding for k = 0 .. kernel - 1.
    sight:
      ([, weight], { stride, padding, dilation }, axis) =>
      (at) => {
        let [first, last] = [1, 0];
        for (let k = weight.shape[2 + axis] - 1; k >= 0; k--) {
          const place = (at + padding[axis] - k * dilation[axis]) / stride[axis];
          if (!Number.isInteger(place)) continue;
          if (first > last) first = place;
          last = place;
        }
        return [first, last];
      },
    gradient:
      axes === 3
        ? undefined
        : ({ inputs: [x, weight, bias], attrs, outputGradients: [dy], needs }) => {
            const { stride, padding, dilation, groups } = attrs;
            // The other way round: a convolution. Its padding at the end is what makes the sizes meet.
            const [top, left] = padding;
            const [bottom, right] = [0, 1].map((axis) => {
              const reach = span(weight.shape[2 + axis], dilation[axis]);
              const used = (x.shape[2 + axis] - 1) * stride[axis] + reach - padding[axis];
              return used - dy.shape[2 + axis];
            });
            const whole = cropped(dy, bottom, right);
            const window = {
              stride,
              padding: [top, left, Math.max(0, bottom), Math.max(0, right)],
              dilation,
              groups,
            };
            const [dx] = needs[0] ? dispatch(conv2dOp, [whole, weight], window) : [];
            const weightShape = weight.shape;
            const [dw] = needs[1]
              ? dispatch(conv2dWeightGradientOp, [whole, x], { ...window, weightShape })
              : [];
            const perChannel = { axes: [0, 2, 3], keepDims: false };
            return [dx, dw, bias && dispatch(reduceOps.reduceSum, [dy], perChannel)[0]];
          },
    parameters: () => [1, 2],
    macs: ([x, weight]) => sizeOf(weight.shape) * x.shape[0] * sizeOf(x.shape.slice(2)),
    layout: ([x]) => (axes === 2 && x.dtype === "float32" ? "prefers" : "plain"),
  };
}

export const convTranspose2dOp = defineConvTranspose("convTranspose2d", 2);
export const convTranspose3dOp = defineConvTranspose("convTranspose3d", 3);

/** Options of a transposed convolution; one number stands for all axes. */
export interface ConvTransposeOptions {
  readonly bias?: Tensor;
  /** Default 1. */
  readonly stride?: number | readonly number[];
  /** Takes this many pixels off each side of the output; default 0. */
  readonly padding?: number | readonly number[];
  /** Pixels added to the end of the output; default 0. */
  readonly outputPadding?: number | readonly number[];
  readonly dilation?: number | readonly number[];
  readonly groups?: number;
}

function transposed(
  op: string,
  axes: 2 | 3,
  def: OpDef<ConvTransposeAttrs>,
  input: Tensor,
  weight: Tensor,
  options: ConvTransposeOptions,
): Tensor {
  checkOptions(op, options, ["bias", "stride", "padding", "outputPadding", "dilation", "groups"]);
  const padding = readInts(op, "padding", options.padding ?? 0, axes, 0);
  const attrs: ConvTransposeAttrs = {
    stride: readInts(op, "stride", options.stride ?? 1, axes, 1),
    padding: [...padding, ...padding],
    outputPadding: readInts(op, "outputPadding", options.outputPadding ?? 0, axes, 0),
    dilation: readInts(op, "dilation", options.dilation ?? 1, axes, 1),
    groups: readInt(op, "groups", options.groups ?? 1, 1),
  };
  return batched(
    op,
    input,
    axes + 2,
    (x) => dispatch(def, options.bias ? [x, weight, options.bias] : [x, weight], attrs)[0],
  );
}

/**
 * 2-D transposed convolution.
 *
 * @param input   (N, Cin, H, W) or (Cin, H, W)
 * @param weight  (Cin, Cout / groups, Kh, Kw)
 * @returns (N, Cout, Hout, Wout), Hout = (H - 1) * stride - 2 * padding + dilation * (Kh - 1) + outputPadding + 1
 * @see torch.nn.functional.conv_transpose2d; ONNX operator ConvTranspose
 */
export const convTranspose2d = (
  input: Tensor,
  weight: Tensor,
  options: ConvTransposeOptions = {},
): Tensor => transposed("convTranspose2d", 2, convTranspose2dOp, input, weight, options);

/** 3-D transposed convolution: convTranspose2d with a depth axis. */
export const convTranspose3d = (
  input: Tensor,
  weight: Tensor,
  options: ConvTransposeOptions = {},
): Tensor => transposed("convTranspose3d", 3, convTranspose3dOp, input, weight, options);
