/** Reductions, places of extremes, resizing. */
import { normalizeAxes, normalizeAxis } from "../../core/shape.js";
import { argMaxOp, argMinOp, reduceOps, topKOp } from "../../ops/reduce.js";
import { type Coordinates, resizeOp } from "../../ops/resize.js";
import type { Converter, NodeContext } from "../context.js";

/** Opset from which axes are an input: sums early, the others late. */
function reduction(name: string, axesInputSince: number): Converter {
  return (c) => {
    const x = c.input(0);
    const rank = x.type.shape.length;
    const given = c.opset < axesInputSince ? c.ints("axes") : c.optionalIntegers(1, "axes");
    const none = given === undefined || given.length === 0;
    if (none && c.int("noop_with_empty_axes", 0) === 1) return [x];
    const axes = none ? x.type.shape.map((_, a) => a) : normalizeAxes("axes", given, rank);
    return c.emit(reduceOps[name], [x], { axes, keepDims: c.int("keepdims", 1) === 1 });
  };
}

const arg =
  (op: typeof argMaxOp): Converter =>
  (c) =>
    c.emit(op, [c.input(0)], {
      axis: normalizeAxis("axis", c.int("axis", 0), c.input(0).type.shape.length),
      keepDims: c.int("keepdims", 1) === 1,
      selectLast: c.int("select_last_index", 0) === 1,
    });

const topK: Converter = (c) =>
  c.emit(topKOp, [c.input(0)], {
    axis: normalizeAxis("axis", c.int("axis", -1), c.input(0).type.shape.length),
    k: c.opset < 10 ? c.int("k") : c.integers(1, "k")[0],
    largest: c.int("largest", 1) === 1,
    sorted: c.int("sorted", 1) === 1,
  });

const COORDINATES: readonly Coordinates[] = [
  "half_pixel",
  "half_pixel_symmetric",
  "pytorch_half_pixel",
  "align_corners",
  "asymmetric",
  "tf_crop_and_resize",
];

/** Output sizes and scales from what a Resize gives: scales, or sizes with a policy for the aspect ratio. */
function target(
  c: NodeContext,
  shape: readonly number[],
  scalesAt: number,
  sizesAt: number,
): { sizes: number[]; scales: number[] } {
  const axes =
    c.opset >= 18 && c.ints("axes")
      ? (c.ints("axes") as number[]).map((a) => normalizeAxis("axes", a, shape.length))
      : shape.map((_, a) => a);
  const givenSizes = sizesAt >= 0 && c.optional(sizesAt) ? c.integers(sizesAt, "sizes") : [];
  const sizes = [...shape];
  const scales = shape.map(() => 1);
  if (givenSizes.length > 0) {
    if (givenSizes.length !== axes.length)
      throw c.invalid(`with ${axes.length} sizes`, `${givenSizes.length}`);
    const policy = c.choice("keep_aspect_ratio_policy", "stretch", [
      "stretch",
      "not_larger",
      "not_smaller",
    ]);
    const ratios = axes.map((axis, i) => givenSizes[i] / shape[axis]);
    const shared = policy === "not_larger" ? Math.min(...ratios) : Math.max(...ratios);
    axes.forEach((axis, i) => {
      scales[axis] = policy === "stretch" ? ratios[i] : shared;
      sizes[axis] = policy === "stretch" ? givenSizes[i] : Math.round(shared * shape[axis]);
    });
    return { sizes, scales };
  }
  const given =
    scalesAt < 0
      ? (c.floats("scales") ?? [])
      : Array.from(c.constant(scalesAt, "scales").data, Number);
  if (given.length !== axes.length || given.some((s) => !(s > 0) || !Number.isFinite(s)))
    throw c.invalid(`with ${axes.length} scales > 0`, `[${given.join(", ")}]`);
  axes.forEach((axis, i) => {
    scales[axis] = given[i];
    sizes[axis] = Math.floor(shape[axis] * given[i]);
  });
  return { sizes, scales };
}

const resize: Converter = (c) => {
  const x = c.input(0);
  const { shape } = x.type;
  const mode = c.choice("mode", "nearest", ["nearest", "linear", "cubic"]);
  const old = c.opset < 11;
  const coordinates = old
    ? "asymmetric"
    : c.choice<Coordinates>("coordinate_transformation_mode", "half_pixel", COORDINATES);
  const { sizes, scales } = old ? target(c, shape, 1, -1) : target(c, shape, 2, 3);
  return c.emit(resizeOp, [x], {
    sizes,
    scales,
    mode,
    coordinates,
    nearest: old
      ? "floor"
      : c.choice("nearest_mode", "round_prefer_floor", [
          "round_prefer_floor",
          "round_prefer_ceil",
          "floor",
          "ceil",
        ]),
    cubicA: c.float("cubic_coeff_a", -0.75),
    excludeOutside: c.int("exclude_outside", 0) === 1,
    antialias: c.int("antialias", 0) === 1,
    roi: coordinates === "tf_crop_and_resize" ? roi(c, shape.length) : [],
    extrapolationValue: c.float("extrapolation_value", 0),
  });
};

/** The region of interest, begins then ends, for every axis; the whole for axes that are not named. */
function roi(c: NodeContext, rank: number): number[] {
  const given = Array.from(c.constant(1, "roi").data, Number);
  const axes =
    (c.opset >= 18 ? c.ints("axes") : undefined)?.map((a) => normalizeAxis("axes", a, rank)) ??
    Array.from({ length: rank }, (_, a) => a);
  if (given.length !== 2 * axes.length)
    throw c.invalid(`with ${2 * axes.length} numbers of roi`, `${given.length}`);
  const full = [...new Array<number>(rank).fill(0), ...new Array<number>(rank).fill(1)];
  axes.forEach((axis, i) => {
    full[axis] = given[i];
    full[rank + axis] = given[axes.length + i];
  });
  return full;
}

/** Upsample, the older Resize: scales as an attribute (7, 8) or an input (9). */
const upsample: Converter = (c) => {
  const x = c.input(0);
  const mode = c.choice("mode", "nearest", ["nearest", "linear", "bilinear"]);
  return c.emit(resizeOp, [x], {
    ...target(c, x.type.shape, c.opset < 9 ? -1 : 1, -1),
    mode: mode === "nearest" ? "nearest" : "linear",
    coordinates: "asymmetric",
    nearest: "floor",
    cubicA: -0.75,
    excludeOutside: false,
    antialias: false,
    roi: [],
    extrapolationValue: 0,
  });
};

export const reductions: Readonly<Record<string, Converter>> = {
  ReduceSum: reduction("reduceSum", 13),
  ReduceMean: reduction("reduceMean", 18),
  ReduceMax: reduction("reduceMax", 18),
  ReduceMin: reduction("reduceMin", 18),
  ReduceProd: reduction("reduceProd", 18),
  ReduceL1: reduction("reduceL1", 18),
  ReduceL2: reduction("reduceL2", 18),
  ReduceSumSquare: reduction("reduceSumSquare", 18),
  ReduceLogSum: reduction("reduceLogSum", 18),
  ReduceLogSumExp: reduction("reduceLogSumExp", 18),
  ArgMax: arg(argMaxOp),
  ArgMin: arg(argMinOp),
  TopK: topK,
  Resize: resize,
  Upsample: upsample,
};
