/** How the loss changes with the input and with the weight of a convolution. (With the bias it changes by the sum of the gradient over pixels.) */
import type { OpDef } from "../core/op.js";
import { sizeOf } from "../core/shape.js";
import { checkCount, checkFloat, checkRank } from "./shared.js";

interface ConvGradientAttrs {
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
}

export interface ConvInputGradientAttrs extends ConvGradientAttrs {
  /** (N, Cin, H, W) */
  readonly inputShape: readonly number[];
}

/**
 *   dx[n, g(o) + c, y*sy + i*dy - top, x*sx + j*dx - left] += dy[n, o, y, x] * weight[o, c, i, j]
 *
 * Inputs: dy (N, Cout, Hout, Wout), weight (Cout, Cin / groups, Kh, Kw). What falls outside the input is the padding's, and dropped.
 */
export const conv2dInputGradientOp: OpDef<ConvInputGradientAttrs> = {
  name: "conv2dInputGradient",
  infer(inputs, { inputShape }) {
    checkCount("conv2dInputGradient", inputs, 2);
    checkFloat("conv2dInputGradient", inputs);
    checkRank("conv2dInputGradient", "output gradient", inputs[0], 4, "(N, C, H, W)");
    checkRank("conv2dInputGradient", "weight", inputs[1], 4, "(Cout, Cin / groups, Kh, Kw)");
    return [{ dtype: inputs[0].dtype, shape: inputShape }];
  },
  reference([dy, weight], { stride, padding, dilation, groups }, [dx]) {
    const [batch, cin, height, width] = dx.shape;
    const [, cout, outHeight, outWidth] = dy.shape;
    const [, perGroup, kh, kw] = weight.shape;
    const [change, w] = [dy.data as Float32Array, weight.data as Float32Array];
    const sums = new Float64Array(dx.size); // rounded once, at the end
    for (let n = 0; n < batch; n++) {
      for (let o = 0; o < cout; o++) {
        const first = Math.floor(o / (cout / groups)) * perGroup;
        for (let y = 0; y < outHeight; y++) {
          for (let x = 0; x < outWidth; x++) {
            const value = change[((n * cout + o) * outHeight + y) * outWidth + x];
            for (let c = 0; c < perGroup; c++) {
              for (let i = 0; i < kh; i++) {
                const row = y * stride[0] + i * dilation[0] - padding[0];
                if (row < 0 || row >= height) continue;
                for (let j = 0; j < kw; j++) {
                  const column = x * stride[1] + j * dilation[1] - padding[1];
                  if (column < 0 || column >= width) continue;
                  sums[((n * cin + first + c) * height + row) * width + column] +=
                    value * w[((o * perGroup + c) * kh + i) * kw + j];
                }
              }
            }
          }
        }
      }
    }
    dx.data.set(sums as never);
  },
  macs: ([dy, weight]) => sizeOf(dy.shape) * sizeOf(weight.shape.slice(1)),
};

export interface ConvWeightGradientAttrs extends ConvGradientAttrs {
  /** (Cout, Cin / groups, Kh, Kw) */
  readonly weightShape: readonly number[];
}

/**
 *   dw[o, c, i, j] = sum over n, y, x of  dy[n, o, y, x] * input[n, g(o) + c, y*sy + i*dy - top, x*sx + j*dx - left]
 *
 * Inputs: input (N, Cin, H, W), dy (N, Cout, Hout, Wout). What the input is outside is zero.
 */
export const conv2dWeightGradientOp: OpDef<ConvWeightGradientAttrs> = {
  name: "conv2dWeightGradient",
  infer(inputs, { weightShape }) {
    checkCount("conv2dWeightGradient", inputs, 2);
    checkFloat("conv2dWeightGradient", inputs);
    checkRank("conv2dWeightGradient", "input", inputs[0], 4, "(N, C, H, W)");
    checkRank("conv2dWeightGradient", "output gradient", inputs[1], 4, "(N, C, H, W)");
    return [{ dtype: inputs[0].dtype, shape: weightShape }];
  },
  reference([input, dy], { stride, padding, dilation, groups }, [dw]) {
    const [batch, cin, height, width] = input.shape;
    const [, cout, outHeight, outWidth] = dy.shape;
    const [, perGroup, kh, kw] = dw.shape;
    const [from, change, to] = [input, dy, dw].map((t) => t.data as Float32Array);
    let next = 0;
    for (let o = 0; o < cout; o++) {
      const first = Math.floor(o / (cout / groups)) * perGroup;
      for (let c = 0; c < perGroup; c++) {
        for (let i = 0; i < kh; i++) {
          for (let j = 0; j < kw; j++) {
            let sum = 0;
            for (let n = 0; n < batch; n++) {
              for (let y = 0; y < outHeight; y++) {
                const row = y * stride[0] + i * dilation[0] - padding[0];
                if (row < 0 || row >= height) continue;
                for (let x = 0; x < outWidth; x++) {
                  const column = x * stride[1] + j * dilation[1] - padding[1];
                  if (column < 0 || column >= width) continue;
                  sum +=
                    change[((n * cout + o) * outHeight + y) * outWidth + x] *
                    from[((n * cin + first + c) * height + row) * width + column];
                }
              }
            }
            to[next++] = sum;
          }
        }
      }
    }
  },
  macs: ([, dy], { weightShape }) => sizeOf(dy.shape) * sizeOf(weightShape.slice(1)),
};
