/**
 * pad: adds elements around a tensor, or with negative numbers takes them off. Modes: a constant, the nearest edge, a mirror that
 * does not repeat the edge ("reflect"), the other side ("wrap").
 */
import { dispatch } from "../core/dispatch.js";
import { expected, OptionError, ShapeError, show, showShape } from "../core/errors.js";
import type { OpDef } from "../core/op.js";
import { checkOptions, readChoice } from "../core/options.js";
import { checkShape, forEachIndex, stridesOf } from "../core/shape.js";
import { type Tensor, writeNumber } from "../core/tensor.js";
import { moveGradient } from "./moveGradient.js";
import { checkCount, isImage } from "./shared.js";

export type PadMode = "constant" | "reflect" | "edge" | "wrap";

export interface PadAttrs {
  /** One begin per axis, then one end per axis. */
  readonly pads: readonly number[];
  readonly mode: PadMode;
  /** What "constant" fills with. */
  readonly value: number;
}

/** Place in 0 .. size - 1 that a place outside stands for; -1: the constant. */
function source(at: number, size: number, mode: PadMode): number {
  if (at >= 0 && at < size) return at;
  if (mode === "constant") return -1;
  if (mode === "edge") return at < 0 ? 0 : size - 1;
  if (mode === "wrap") return ((at % size) + size) % size;
  if (size === 1) return 0;
  const period = 2 * (size - 1);
  const folded = ((at % period) + period) % period;
  return folded < size ? folded : period - folded;
}

export const padOp: OpDef<PadAttrs> = {
  name: "pad",
  byImage: ([x], attrs) =>
    attrs.pads[0] === 0 && attrs.pads[x.shape.length] === 0 ? attrs : undefined,
  sight:
    (_inputs, { pads }, axis) =>
    (at) => [at - pads[2 + axis], at - pads[2 + axis]],
  gradient: (step) => moveGradient(padOp, step, { ...step.attrs, value: 0 }),
  infer(inputs, { pads, mode }) {
    checkCount("pad", inputs, 1);
    const [x] = inputs;
    const rank = x.shape.length;
    if (pads.length !== 2 * rank) {
      throw new ShapeError(
        expected("pad", `${2 * rank} pads for input ${showShape(x.shape)}`, show([...pads])),
      );
    }
    const shape = x.shape.map((n, axis) => {
      const [begin, end] = [pads[axis], pads[rank + axis]];
      if (mode === "reflect" && Math.max(begin, end) >= Math.max(n, 1) && n > 0) {
        throw new ShapeError(
          expected(
            "pad",
            `reflect padding smaller than axis ${axis} of ${showShape(x.shape)}`,
            `${Math.max(begin, end)}`,
          ),
        );
      }
      if (mode !== "constant" && n === 0 && begin + end > 0) {
        throw new ShapeError(
          expected("pad", `a non-empty axis ${axis} for mode "${mode}"`, showShape(x.shape)),
        );
      }
      return n + begin + end;
    });
    checkShape("pad", shape);
    return [{ dtype: x.dtype, shape }];
  },
  reference([x], { pads, mode, value }, [y]) {
    const strides = stridesOf(x.shape);
    forEachIndex(y.shape, (index, i) => {
      let from = 0;
      for (let axis = 0; axis < index.length; axis++) {
        const at = source(index[axis] - pads[axis], x.shape[axis], mode);
        if (at < 0) {
          writeNumber(y, i, value);
          return;
        }
        from += at * strides[axis];
      }
      y.data[i] = x.data[from];
    });
  },
  placement: ([x], { pads, mode, value }) =>
    isImage(x) && mode === "constant" && value === 0 && pads.every((n, i) => i === 5 || n === 0)
      ? { whole: "output", axis: 1, starts: [0], zerosFollow: true }
      : undefined,
  // Zeros after the last channel are there already in the blocked layout, so such padding is a copy too.
  layout: ([x], { pads, mode, value }) =>
    isImage(x) &&
    pads[1] === 0 &&
    (pads[5] === 0 || (pads[5] > 0 && mode === "constant" && value === 0))
      ? "follows"
      : "plain",
};

/** Options of pad. */
export interface PadOptions {
  /** Default "constant". */
  readonly mode?: "constant" | "reflect" | "replicate" | "circular";
  /** What "constant" fills with; default 0. */
  readonly value?: number;
}

/**
 * Pads the last axes of a tensor, PyTorch's way: `pads` lists begin and end of the last axis, then of the one before it, ...
 *
 * @example pad(image, [1, 1, 2, 2]) adds one column left and right, two rows above and below
 * @see torch.nn.functional.pad
 */
export function pad(x: Tensor, pads: readonly number[], options: PadOptions = {}): Tensor {
  checkOptions("pad", options, ["mode", "value"]);
  const mode = readChoice("pad", "mode", options.mode ?? "constant", [
    "constant",
    "reflect",
    "replicate",
    "circular",
  ]);
  if (
    !Array.isArray(pads) ||
    pads.length % 2 !== 0 ||
    pads.length > 2 * x.rank ||
    !pads.every(Number.isInteger)
  ) {
    throw new OptionError(
      expected("pad", `an even number of integers, at most ${2 * x.rank}`, show(pads)),
    );
  }
  const all = new Array<number>(2 * x.rank).fill(0);
  for (let k = 0; k < pads.length / 2; k++) {
    all[x.rank - 1 - k] = pads[2 * k];
    all[2 * x.rank - 1 - k] = pads[2 * k + 1];
  }
  const names = {
    constant: "constant",
    reflect: "reflect",
    replicate: "edge",
    circular: "wrap",
  } as const;
  return dispatch(padOp, [x], { pads: all, mode: names[mode], value: options.value ?? 0 })[0];
}
