/**
 * Cross-correlation as a course introduces it, one step at a time: one channel, several in, several out. Each is conv2d on a
 * batch of one.
 */
import { expected, ShapeError, showShape } from "../core/errors.js";
import type { Tensor } from "../core/tensor.js";
import { conv2d } from "./conv2d.js";

function check(op: string, what: string, t: Tensor, rank: number, form: string): void {
  if (t.rank !== rank) throw new ShapeError(expected(op, `${what} ${form}`, showShape(t.shape)));
}

/**
 * Slides a kernel over an image: out[y, x] = sum over i, j of x[y + i, x + j] * k[i, j].
 *
 * @param x  (H, W)
 * @param k  (kh, kw)
 * @returns (H - kh + 1, W - kw + 1)
 * @throws {ShapeError} if the kernel is larger than the image
 * @example corr2d(0..8 as 3x3, 0..3 as 2x2) is [[19, 25], [37, 43]]
 * @see Dive into Deep Learning, "Convolutions for Images"
 */
export function corr2d(x: Tensor, k: Tensor): Tensor {
  check("corr2d", "x", x, 2, "(H, W)");
  check("corr2d", "k", k, 2, "(kh, kw)");
  const y = conv2d(x.reshape([1, 1, ...x.shape]), k.reshape([1, 1, ...k.shape]));
  return y.reshape(y.shape.slice(2));
}

/**
 * Cross-correlation of an image of several channels: each channel with its own kernel, the results summed.
 *
 * @param x  (C, H, W)
 * @param k  (C, kh, kw)
 * @returns (H - kh + 1, W - kw + 1)
 * @see Dive into Deep Learning, "Multiple Input and Multiple Output Channels"
 */
export function corr2dMultiIn(x: Tensor, k: Tensor): Tensor {
  check("corr2dMultiIn", "x", x, 3, "(C, H, W)");
  check("corr2dMultiIn", "k", k, 3, "(C, kh, kw)");
  const y = conv2d(x.reshape([1, ...x.shape]), k.reshape([1, ...k.shape]));
  return y.reshape(y.shape.slice(2));
}

/**
 * Cross-correlation with several kernels: one feature map per kernel, stacked.
 *
 * @param x  (C, H, W)
 * @param k  (D, C, kh, kw)
 * @returns (D, H - kh + 1, W - kw + 1)
 * @see Dive into Deep Learning, "Multiple Input and Multiple Output Channels"
 */
export function corr2dMultiInOut(x: Tensor, k: Tensor): Tensor {
  check("corr2dMultiInOut", "x", x, 3, "(C, H, W)");
  check("corr2dMultiInOut", "k", k, 4, "(D, C, kh, kw)");
  const y = conv2d(x.reshape([1, ...x.shape]), k);
  return y.reshape(y.shape.slice(1));
}
