/**
 * channelShuffle: channels of groups, one from each in turn: (N, g, C / g, H, W) with axes 1 and 2 exchanged. ShuffleNets write it as three ops
 * (graph/passes/recogniseShuffle.ts).
 */
import { expected, ShapeError } from "../core/errors.js";
import type { OpDef } from "../core/op.js";
import { forEachIndex, stridesOf } from "../core/shape.js";
import { moveGradient } from "./moveGradient.js";
import { checkCount, checkRank, firstByImage, followsOnImages, samePlace } from "./shared.js";

export const channelShuffleOp: OpDef<{ readonly groups: number }> = {
  name: "channelShuffle",
  byImage: firstByImage,
  sight: () => samePlace,
  gradient: (step) => moveGradient(channelShuffleOp, step),
  infer(inputs, { groups }) {
    checkCount("channelShuffle", inputs, 1);
    const [x] = inputs;
    checkRank("channelShuffle", "input", x, 4, "(N, C, H, W)");
    if (x.shape[1] % groups !== 0)
      throw new ShapeError(
        expected("channelShuffle", `channels divisible by groups ${groups}`, `${x.shape[1]}`),
      );
    return [x];
  },
  reference([x], { groups }, [y]) {
    const strides = stridesOf(x.shape);
    const perGroup = x.shape[1] / groups;
    forEachIndex(y.shape, ([n, c, row, column], i) => {
      const from = (c % groups) * perGroup + Math.floor(c / groups);
      y.data[i] = x.data[n * strides[0] + from * strides[1] + row * strides[2] + column];
    });
  },
  layout: followsOnImages,
};
