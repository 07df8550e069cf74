/** conv3d: conv2d with a depth axis, (N, Cin, D, H, W) by (Cout, Cin / groups, Kd, Kh, Kw). */
import { dispatch } from "../core/dispatch.js";
import type { OpDef } from "../core/op.js";
import { sizeOf } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";
import { windowOutput } from "../core/window.js";
import { type ConvOptions, checkConvChannels, convWindow, readConvOptions } from "./conv2d.js";
import { padOp } from "./pad.js";
import {
  batched,
  checkCount,
  checkFloat,
  checkRank,
  checkShapeIs,
  firstByImage,
} from "./shared.js";

export interface Conv3dAttrs {
  readonly stride: readonly number[];
  /** front, top, left, back, bottom, right */
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
}

export const conv3dOp: OpDef<Conv3dAttrs> = {
  name: "conv3d",
  byImage: firstByImage,
  padsWithZeros: true,
  infer(inputs, attrs) {
    checkCount("conv3d", inputs, 2, 3);
    checkFloat("conv3d", inputs);
    const [x, weight, bias] = inputs;
    checkRank("conv3d", "input", x, 5, "(N, C, D, H, W)");
    checkRank("conv3d", "weight", weight, 5, "(Cout, Cin / groups, Kd, Kh, Kw)");
    checkConvChannels("conv3d", x, weight, attrs.groups);
    if (bias) checkShapeIs("conv3d", "bias", bias, [weight.shape[0]]);
    return [
      {
        dtype: x.dtype,
        shape: [
          x.shape[0],
          weight.shape[0],
          ...windowOutput("conv3d", x.shape.slice(2), convWindow(inputs, attrs)),
        ],
      },
    ];
  },
  reference([x, weight, bias], attrs, [out]) {
    const [batch, cin, depth, height, width] = x.shape;
    const [cout, perGroup, kd, kh, kw] = weight.shape;
    const [, , outDepth, outHeight, outWidth] = out.shape;
    const { stride, dilation, padding } = attrs;
    const [from, w] = [x.data as Float32Array, weight.data as Float32Array];
    const outPerGroup = cout / attrs.groups;
    let next = 0;
    for (let n = 0; n < batch; n++)
      for (let o = 0; o < cout; o++)
        for (let z = 0; z < outDepth; z++)
          for (let y = 0; y < outHeight; y++)
            for (let xo = 0; xo < outWidth; xo++) {
              let sum = bias ? (bias.data[o] as number) : 0;
              for (let c = 0; c < perGroup; c++) {
                const channel = n * cin + Math.floor(o / outPerGroup) * perGroup + c;
                for (let k = 0; k < kd; k++) {
                  const slice = z * stride[0] + k * dilation[0] - padding[0];
                  if (slice < 0 || slice >= depth) continue;
                  for (let i = 0; i < kh; i++) {
                    const row = y * stride[1] + i * dilation[1] - padding[1];
                    if (row < 0 || row >= height) continue;
                    for (let j = 0; j < kw; j++) {
                      const column = xo * stride[2] + j * dilation[2] - padding[2];
                      if (column < 0 || column >= width) continue;
                      sum +=
                        from[((channel * depth + slice) * height + row) * width + column] *
                        w[(((o * perGroup + c) * kd + k) * kh + i) * kw + j];
                    }
                  }
                }
              }
              out.data[next++] = sum;
            }
  },
  window: convWindow,
  macs: (inputs, attrs) =>
    sizeOf(inputs[1].shape) *
    inputs[0].shape[0] *
    sizeOf(windowOutput("conv3d", inputs[0].shape.slice(2), convWindow(inputs, attrs))),
};

/**
 * 3-D cross-correlation with channels. Options as conv2d's, with three numbers per axis list.
 *
 * @param input   (N, Cin, D, H, W) or (Cin, D, H, W)
 * @param weight  (Cout, Cin / groups, Kd, Kh, Kw)
 */
export function conv3d(input: Tensor, weight: Tensor, options: ConvOptions = {}): Tensor {
  return batched("conv3d", input, 5, (x) => {
    const { attrs, padBefore } = readConvOptions(
      "conv3d",
      options,
      x.shape.slice(2),
      weight.shape.slice(2),
    );
    const padded = padBefore ? dispatch(padOp, [x], { ...padBefore, value: 0 })[0] : x;
    return dispatch(
      conv3dOp,
      options.bias ? [padded, weight, options.bias] : [padded, weight],
      attrs,
    )[0];
  });
}
