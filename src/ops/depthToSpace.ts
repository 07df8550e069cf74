/** Channels become pixels, and pixels channels, for any dtype: depthToSpace, spaceToDepth. */
import { dispatch } from "../core/dispatch.js";
import { expected, ShapeError } from "../core/errors.js";
import type { OpDef } from "../core/op.js";
import { stridesOf } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";
import { moveGradient } from "./moveGradient.js";
import { checkCount, checkRank, copyFrom, dot, firstByImage, followsOnImages } from "./shared.js";

export interface DepthToSpaceAttrs {
  readonly blockSize: number;
  readonly mode: "DCR" | "CRD";
}

export const depthToSpaceOp: OpDef<DepthToSpaceAttrs> = {
  name: "depthToSpace",
  byImage: firstByImage,
  // Of one to four channels, most of every block would be empty.
  layout: (inputs, { blockSize: b }) =>
    inputs[0].shape[1] > 4 * b * b ? followsOnImages(inputs) : "plain",
  sight:
    (_inputs, { blockSize }) =>
    (at) => [Math.floor(at / blockSize), Math.floor(at / blockSize)],
  gradient: (step) => moveGradient(depthToSpaceOp, step),
  infer(inputs, { blockSize: b }) {
    checkCount("depthToSpace", inputs, 1);
    const [x] = inputs;
    checkRank("depthToSpace", "input", x, 4, "(N, C, H, W)");
    const [n, c, h, w] = x.shape;
    if (c % (b * b) !== 0)
      throw new ShapeError(expected("depthToSpace", `channels divisible by ${b * b}`, `${c}`));
    return [{ dtype: x.dtype, shape: [n, c / (b * b), h * b, w * b] }];
  },
  reference([x], { blockSize: b, mode }, [y]) {
    const strides = stridesOf(x.shape);
    const channels = y.shape[1];
    copyFrom(x, y, ([n, c, row, column]) => {
      const [i, j] = [row % b, column % b];
      const from = mode === "DCR" ? (i * b + j) * channels + c : (c * b + i) * b + j;
      return dot([n, from, (row - i) / b, (column - j) / b], strides);
    });
  },
};

export const spaceToDepthOp: OpDef<DepthToSpaceAttrs> = {
  name: "spaceToDepth",
  byImage: firstByImage,
  layout: followsOnImages,
  sight:
    (_inputs, { blockSize }) =>
    (at) => [at * blockSize, (at + 1) * blockSize - 1],
  gradient: (step) => moveGradient(spaceToDepthOp, step),
  infer(inputs, { blockSize: b }) {
    checkCount("spaceToDepth", inputs, 1);
    const [x] = inputs;
    checkRank("spaceToDepth", "input", x, 4, "(N, C, H, W)");
    const [n, c, h, w] = x.shape;
    if (h % b !== 0 || w % b !== 0)
      throw new ShapeError(
        expected("spaceToDepth", `height and width divisible by ${b}`, `${h} and ${w}`),
      );
    return [{ dtype: x.dtype, shape: [n, c * b * b, h / b, w / b] }];
  },
  reference([x], { blockSize: b, mode }, [y]) {
    const strides = stridesOf(x.shape);
    const channels = x.shape[1];
    copyFrom(x, y, ([n, c, row, column]) => {
      const [block, from] =
        mode === "DCR"
          ? [Math.floor(c / channels), c % channels]
          : [c % (b * b), Math.floor(c / (b * b))];
      return dot([n, from, row * b + Math.floor(block / b), column * b + (block % b)], strides);
    });
  },
};

/** Channels become pixels: (N, C*r*r, H, W) -> (N, C, H*r, W*r). @see torch.nn.functional.pixel_shuffle */
export const pixelShuffle = (x: Tensor, upscaleFactor: number): Tensor =>
  dispatch(depthToSpaceOp, [x], { blockSize: upscaleFactor, mode: "CRD" })[0];
