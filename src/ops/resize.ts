/**
 * resize: images (or any tensor) at another size, axis by axis. Every output place is a weighted mean of input places; the weights
 * are those of nearest, linear or cubic interpolation at the coordinate that the output place stands for. Source: ONNX operator Resize.
 */
import { dispatch } from "../core/dispatch.js";
import { roundHalfEven } from "../core/dtype.js";
import { expected, OptionError, ShapeError, show, showShape } from "../core/errors.js";
import type { Activation, OpDef } from "../core/op.js";
import { checkOptions, readBoolean, readChoice, readInts } from "../core/options.js";
import { checkShape, sizeOf } from "../core/shape.js";
import { numbersOf, type Tensor, writeNumber } from "../core/tensor.js";
import { applyActivation, applyResidual } from "./epilogue.js";
import { checkCount, checkShapeIs, isImage, samePlace } from "./shared.js";

export type Coordinates =
  | "half_pixel"
  | "half_pixel_symmetric"
  | "pytorch_half_pixel"
  | "align_corners"
  | "asymmetric"
  | "tf_crop_and_resize";

export interface ResizeAttrs {
  /** The output shape. */
  readonly sizes: readonly number[];
  /** Output size over input size, per axis, as the model gives it (it need not be sizes / input exactly). */
  readonly scales: readonly number[];
  readonly mode: "nearest" | "linear" | "cubic";
  readonly coordinates: Coordinates;
  readonly nearest: "round_prefer_floor" | "round_prefer_ceil" | "floor" | "ceil";
  readonly cubicA: number;
  readonly excludeOutside: boolean;
  readonly antialias: boolean;
  /** tf_crop_and_resize: begins, then ends, as fractions of the input; else empty. */
  readonly roi: readonly number[];
  readonly extrapolationValue: number;
  /** A last input, of the result's shape, is added before the activation. */
  readonly residual?: boolean;
  readonly activation?: Activation;
}

/** The input coordinate that output place o of an axis stands for. */
function coordinate(o: number, attrs: ResizeAttrs, axis: number, inSize: number): number {
  const outSize = attrs.sizes[axis];
  const scale = attrs.scales[axis];
  switch (attrs.coordinates) {
    case "half_pixel":
      return (o + 0.5) / scale - 0.5;
    case "half_pixel_symmetric": {
      // The exact output size may be a fraction that was rounded down; its centre stays the input's centre.
      const adjust = outSize / (inSize * scale);
      return (inSize / 2) * (1 - adjust) + (o + 0.5) / scale - 0.5;
    }
    case "pytorch_half_pixel":
      return outSize > 1 ? (o + 0.5) / scale - 0.5 : 0;
    case "align_corners":
      // The resized length that the corners align with is scale * size, even where that is a fraction (ONNX's reference).
      return outSize > 1 ? (o * (inSize - 1)) / (scale * inSize - 1) : 0;
    case "asymmetric":
      return o / scale;
    case "tf_crop_and_resize": {
      const [begin, end] = [attrs.roi[axis], attrs.roi[attrs.sizes.length + axis]];
      return outSize > 1
        ? begin * (inSize - 1) + (o * (end - begin) * (inSize - 1)) / (outSize - 1)
        : 0.5 * (begin + end) * (inSize - 1);
    }
  }
}

function nearestPlace(x: number, rule: ResizeAttrs["nearest"]): number {
  if (rule === "floor") return Math.floor(x);
  if (rule === "ceil") return Math.ceil(x);
  if (rule === "round_prefer_ceil") return Math.floor(x + 0.5);
  return Math.ceil(x - 0.5);
}

/** Keys' cubic convolution kernel. */
function cubic(d: number, a: number): number {
  const x = Math.abs(d);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

/** Input places and weights of one output place; undefined: outside, take the extrapolation value. */
interface Taps {
  readonly places: readonly number[];
  readonly weights: readonly number[];
}

function taps(o: number, attrs: ResizeAttrs, axis: number, inSize: number): Taps | undefined {
  const at = coordinate(o, attrs, axis, inSize);
  if (attrs.coordinates === "tf_crop_and_resize" && (at < 0 || at > inSize - 1)) return undefined;
  const inside = (i: number) => Math.min(Math.max(i, 0), inSize - 1);
  if (attrs.mode === "nearest")
    return { places: [inside(nearestPlace(at, attrs.nearest))], weights: [1] };
  // Antialiasing widens the kernel to cover all the input pixels that a shrunken pixel stands for.
  const shrink = attrs.antialias ? Math.min(attrs.scales[axis], 1) : 1;
  const reach = (attrs.mode === "linear" ? 1 : 2) / shrink;
  const kernel =
    attrs.mode === "linear"
      ? (d: number) => Math.max(0, 1 - Math.abs(d))
      : (d: number) => cubic(d, attrs.cubicA);
  const places: number[] = [];
  const weights: number[] = [];
  for (let i = Math.floor(at - reach) + 1; i <= Math.floor(at + reach); i++) {
    const outside = i < 0 || i >= inSize;
    const weight = outside && attrs.excludeOutside ? 0 : kernel((i - at) * shrink);
    places.push(inside(i));
    weights.push(weight);
  }
  const total = weights.reduce((a, b) => a + b, 0);
  const normalise = attrs.excludeOutside || attrs.antialias;
  return { places, weights: normalise ? weights.map((w) => w / total) : weights };
}

export const resizeOp: OpDef<ResizeAttrs> = {
  name: "resize",
  byImage([x], attrs, ofBatch) {
    const { sizes, scales, coordinates, residual } = attrs;
    const kept = sizes[0] === x.shape[0] && scales[0] === 1 && coordinates !== "tf_crop_and_resize";
    return kept && !residual && ofBatch[0]
      ? { ...attrs, sizes: [1, ...sizes.slice(1)] }
      : undefined;
  },
  epilogue: "residual",
  infer(inputs, { sizes, residual }) {
    checkCount("resize", inputs, residual ? 2 : 1);
    const [x] = inputs;
    checkShape("resize", sizes);
    if (sizes.length !== x.shape.length)
      throw new ShapeError(
        expected(
          "resize",
          `${x.shape.length} sizes for input ${showShape(x.shape)}`,
          show([...sizes]),
        ),
      );
    if (sizeOf(sizes) > 0 && sizeOf(x.shape) === 0)
      throw new ShapeError(expected("resize", "a non-empty input", showShape(x.shape)));
    if (residual) checkShapeIs("resize", "residual", inputs[1], sizes);
    return [{ dtype: x.dtype, shape: sizes }];
  },
  reference([x, residual], attrs, [y]) {
    // One axis after the other; an axis that does not change is skipped.
    let shape = [...x.shape];
    let from: ArrayLike<number> = numbersOf(x);
    const outside = new Set<number>();
    attrs.sizes.forEach((size, axis) => {
      const inSize = shape[axis];
      if (size === inSize && attrs.scales[axis] === 1 && attrs.coordinates !== "tf_crop_and_resize")
        return;
      const all = Array.from({ length: size }, (_, o) => taps(o, attrs, axis, inSize));
      const inner = sizeOf(shape.slice(axis + 1));
      const outer = sizeOf(shape.slice(0, axis));
      const to = new Float64Array(outer * size * inner);
      for (let a = 0; a < outer; a++) {
        for (let o = 0; o < size; o++) {
          const tap = all[o];
          for (let b = 0; b < inner; b++) {
            let sum = 0;
            if (tap)
              for (let k = 0; k < tap.places.length; k++)
                sum += tap.weights[k] * from[(a * inSize + tap.places[k]) * inner + b];
            to[(a * size + o) * inner + b] = sum;
          }
        }
      }
      all.forEach((tap, o) => {
        if (!tap) outside.add(axis * 2 ** 32 + o);
      });
      shape = shape.map((n, a) => (a === axis ? size : n));
      from = to;
    });
    const rounds = y.dtype === "int8" || y.dtype === "uint8" || y.dtype === "int32";
    for (let i = 0; i < y.size; i++) writeNumber(y, i, rounds ? roundHalfEven(from[i]) : from[i]);
    if (outside.size > 0) fillOutside(y, outside, attrs.extrapolationValue);
    applyResidual(y, residual);
    applyActivation(y, attrs.activation);
  },
  sight([x], attrs, axis, input) {
    if (input === 1) return samePlace;
    const size = x.shape[2 + axis];
    return (at) => {
      // Outside the result the pattern goes on: it repeats with the sizes.
      const period = attrs.sizes[2 + axis];
      const turn = Math.floor(at / period);
      const tap = taps(at - turn * period, attrs, 2 + axis, size);
      if (!tap) return [1, 0];
      const seen = tap.places.filter((_, k) => tap.weights[k] !== 0);
      return [Math.min(...seen) + turn * size, Math.max(...seen) + turn * size];
    };
  },
  layout: ([x], { sizes, coordinates }) =>
    isImage(x) &&
    coordinates !== "tf_crop_and_resize" &&
    sizes[0] === x.shape[0] &&
    sizes[1] === x.shape[1]
      ? "follows"
      : "plain",
};

/** Sets every element with an index that lies outside the input on some axis. */
function fillOutside(y: Tensor, outside: ReadonlySet<number>, value: number): void {
  const index = new Array<number>(y.rank).fill(0);
  for (let i = 0; i < y.size; i++) {
    if (index.some((o, axis) => outside.has(axis * 2 ** 32 + o))) writeNumber(y, i, value);
    for (let axis = y.rank - 1; axis >= 0; axis--) {
      if (++index[axis] < y.shape[axis]) break;
      index[axis] = 0;
    }
  }
}

/** Options of interpolate. */
export interface InterpolateOptions {
  /** [height, width] of the result; this or scaleFactor. */
  readonly size?: number | readonly number[];
  readonly scaleFactor?: number | readonly number[];
  /** Default "nearest". */
  readonly mode?: "nearest" | "bilinear" | "bicubic";
  /** Corner pixels stay corner pixels; default false. */
  readonly alignCorners?: boolean;
  readonly antialias?: boolean;
}

/**
 * An image batch at another size.
 *
 * @param x  (N, C, H, W)
 * @see torch.nn.functional.interpolate
 */
export function interpolate(x: Tensor, options: InterpolateOptions): Tensor {
  checkOptions("interpolate", options, [
    "size",
    "scaleFactor",
    "mode",
    "alignCorners",
    "antialias",
  ]);
  if (x.rank !== 4)
    throw new ShapeError(expected("interpolate", "input (N, C, H, W)", showShape(x.shape)));
  const mode = readChoice("interpolate", "mode", options.mode ?? "nearest", [
    "nearest",
    "bilinear",
    "bicubic",
  ]);
  const alignCorners = readBoolean("interpolate", "alignCorners", options.alignCorners ?? false);
  if ((options.size === undefined) === (options.scaleFactor === undefined)) {
    throw new OptionError(
      expected(
        "interpolate",
        'one of "size" and "scaleFactor"',
        options.size === undefined ? "neither" : "both",
      ),
    );
  }
  const spatial = x.shape.slice(2);
  const factors = options.scaleFactor === undefined ? undefined : [options.scaleFactor].flat();
  if (factors?.some((f) => typeof f !== "number" || !(f > 0) || !Number.isFinite(f))) {
    throw new OptionError(
      expected("interpolate", 'positive numbers for "scaleFactor"', show(options.scaleFactor)),
    );
  }
  const size = factors
    ? spatial.map((n, a) => Math.floor(n * (factors[a] ?? factors[0])))
    : readInts("interpolate", "size", options.size, 2, 1);
  return dispatch(resizeOp, [x], {
    sizes: [...x.shape.slice(0, 2), ...size],
    scales: [1, 1, ...size.map((n, a) => (factors ? (factors[a] ?? factors[0]) : n / spatial[a]))],
    mode: mode === "nearest" ? "nearest" : mode === "bilinear" ? "linear" : "cubic",
    coordinates: mode === "nearest" ? "asymmetric" : alignCorners ? "align_corners" : "half_pixel",
    nearest: "floor",
    cubicA: -0.75,
    excludeOutside: false,
    antialias: options.antialias ?? false,
    roi: [],
    extrapolationValue: 0,
  })[0];
}
