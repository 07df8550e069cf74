/** Convolutions and pools. One spatial axis becomes two (height 1), two and three have ops of their own. */
import type { OpDef } from "../../core/op.js";
import { Tensor } from "../../core/tensor.js";
import { samePadding, span, type Window } from "../../core/window.js";
import type { Value } from "../../graph/graph.js";
import { conv2dOp } from "../../ops/conv2d.js";
import { conv3dOp } from "../../ops/conv3d.js";
import {
  type ConvTransposeAttrs,
  convTranspose2dOp,
  convTranspose3dOp,
} from "../../ops/convTranspose.js";
import { reshapeOp } from "../../ops/data.js";
import { globalAvgPoolOp, globalMaxPoolOp, maxUnpool2dOp } from "../../ops/globalPool.js";
import { padOp } from "../../ops/pad.js";
import * as pool from "../../ops/pool.js";
import { convIntegerOp, qlinearConvOp } from "../../ops/quantize.js";
import type { Converter, NodeContext } from "../context.js";

/** Spatial axes of input 0. @throws {UnsupportedOperatorError} unless 1, 2 or 3 */
function spatialOf(c: NodeContext): readonly number[] {
  const spatial = c.input(0).type.shape.slice(2);
  if (spatial.length < 1 || spatial.length > 3)
    throw c.unsupported("with 1 to 3 spatial axes", `${spatial.length}`);
  return spatial;
}

/** The window that attributes describe: pads, or auto_pad; defaults of ones and zeros. */
function readWindow(c: NodeContext, spatial: readonly number[], kernel: readonly number[]): Window {
  const axes = spatial.length;
  const ones = () => new Array<number>(axes).fill(1);
  const window = {
    kernel,
    stride: c.ints("strides") ?? ones(),
    dilation: c.ints("dilations") ?? ones(),
  };
  const padding = readPadding(c, spatial, window);
  const lists: [string, readonly number[], number, number][] = [
    ["kernel_shape", kernel, axes, 1],
    ["strides", window.stride, axes, 1],
    ["dilations", window.dilation, axes, 1],
    ["pads", padding, 2 * axes, 0],
  ];
  for (const [name, list, count, min] of lists) {
    if (
      list.length !== count ||
      list.some((n) => !Number.isSafeInteger(n) || n < min || n > 2 ** 31)
    ) {
      throw c.invalid(`with ${count} ${name} >= ${min}`, `[${list.join(", ")}]`);
    }
  }
  return { ...window, padding };
}

function readPadding(
  c: NodeContext,
  spatial: readonly number[],
  window: Omit<Window, "padding">,
): number[] {
  const auto = c.choice("auto_pad", "NOTSET", ["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]);
  if (auto === "SAME_UPPER") return samePadding(spatial, window, "upper");
  if (auto === "SAME_LOWER") return samePadding(spatial, window, "lower");
  if (auto === "VALID") return new Array<number>(2 * spatial.length).fill(0);
  return c.ints("pads") ?? new Array<number>(2 * spatial.length).fill(0);
}

/** (A, B, L) -> (A, B, 1, L) */
const lift = (c: NodeContext, x: Value): Value =>
  c.emitOne(reshapeOp, [x], { shape: [x.type.shape[0], x.type.shape[1], 1, x.type.shape[2]] });

/** (A, B, 1, L) -> (A, B, L) */
const drop = (c: NodeContext, y: Value): Value =>
  c.emitOne(reshapeOp, [y], { shape: [y.type.shape[0], y.type.shape[1], y.type.shape[3]] });

/** The kernel's size: of the weight, which kernel_shape may only repeat. */
function kernelOf(c: NodeContext, weight: Value): readonly number[] {
  const kernel = weight.type.shape.slice(2);
  const stated = c.ints("kernel_shape");
  if (stated && stated.join() !== kernel.join())
    throw c.invalid(
      `with kernel_shape [${kernel.join(", ")}], as the weight has`,
      `[${stated.join(", ")}]`,
    );
  return kernel;
}

const conv: Converter = (c) => {
  const spatial = spatialOf(c);
  const [x, weight] = [c.input(0), c.input(1)];
  const bias = c.optional(2) ? [c.input(2)] : [];
  const { stride, padding, dilation } = readWindow(c, spatial, kernelOf(c, weight));
  const groups = c.int("group", 1);
  if (groups < 1) throw c.invalid("with group >= 1", `${groups}`);
  const attrs = { stride, padding, dilation, groups };
  if (spatial.length === 3) return c.emit(conv3dOp, [x, weight, ...bias], attrs);
  if (spatial.length === 2) return c.emit(conv2dOp, [x, weight, ...bias], attrs);
  const lifted = pool.liftWindow({ ...attrs, kernel: weight.type.shape.slice(2) });
  const y = c.emitOne(conv2dOp, [lift(c, x), lift(c, weight), ...bias], {
    stride: lifted.stride,
    padding: lifted.padding,
    dilation: lifted.dilation,
    groups,
  });
  return [drop(c, y)];
};

const convTranspose: Converter = (c) => {
  const spatial = spatialOf(c);
  const axes = spatial.length;
  const [x, weight] = [c.input(0), c.input(1)];
  const bias = c.optional(2) ? [c.input(2)] : [];
  const kernel = kernelOf(c, weight);
  const ones = () => new Array<number>(axes).fill(1);
  const stride = c.ints("strides") ?? ones();
  const dilation = c.ints("dilations") ?? ones();
  const outputPadding = c.ints("output_padding") ?? ones().fill(0);
  const full = spatial.map(
    (n, a) => (n - 1) * stride[a] + span(kernel[a], dilation[a]) + outputPadding[a],
  );
  const groups = c.int("group", 1);
  const attrs: ConvTransposeAttrs = {
    stride,
    dilation,
    outputPadding,
    groups,
    padding: transposePadding(c, spatial, stride, full),
  };
  if (axes === 3) return c.emit(convTranspose3dOp, [x, weight, ...bias], attrs);
  if (axes === 2) return c.emit(convTranspose2dOp, [x, weight, ...bias], attrs);
  const lifted = { ...pool.liftWindow({ ...attrs, kernel }), outputPadding: [0, outputPadding[0]] };
  const { kernel: _, ...liftedAttrs } = lifted;
  return [
    drop(c, c.emitOne(convTranspose2dOp, [lift(c, x), lift(c, weight), ...bias], liftedAttrs)),
  ];
};

/** Padding as given, or such that the output has the size that output_shape or auto_pad ask for. */
function transposePadding(
  c: NodeContext,
  spatial: readonly number[],
  stride: readonly number[],
  full: readonly number[],
): number[] {
  const auto = c.choice("auto_pad", "NOTSET", ["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]);
  const wanted =
    c.ints("output_shape")?.slice(-spatial.length) ??
    (auto.startsWith("SAME") ? spatial.map((n, a) => n * stride[a]) : undefined);
  if (!wanted)
    return (
      (auto === "NOTSET" ? c.ints("pads") : undefined) ??
      new Array<number>(2 * spatial.length).fill(0)
    );
  const totals = full.map((n, a) => n - wanted[a]);
  // Negative totals lengthen the output, which padding on one side can do too.
  const begins = totals.map((n) =>
    auto === "SAME_UPPER" ? Math.floor(n / 2) : n - Math.floor(n / 2),
  );
  return [...begins, ...totals.map((n, a) => n - begins[a])];
}

/** A pool with 1 to 3 spatial axes. `extra` are the attributes beyond the window. */
function emitPool<A extends pool.PoolAttrs>(
  c: NodeContext,
  op2d: OpDef<A>,
  op3d: OpDef<A>,
  extra: Omit<A, keyof pool.PoolAttrs>,
): Value[] {
  const spatial = spatialOf(c);
  const kernel = c.ints("kernel_shape");
  if (!kernel) throw c.invalid('with attribute "kernel_shape"', "none");
  const attrs = {
    ...readWindow(c, spatial, kernel),
    ceilMode: c.int("ceil_mode", 0) === 1,
    ...extra,
  } as A;
  if (spatial.length === 3) return c.emit(op3d, [c.input(0)], attrs);
  if (spatial.length === 2) return c.emit(op2d, [c.input(0)], attrs);
  return c.emit(op2d, [lift(c, c.input(0))], pool.liftWindow(attrs)).map((y) => drop(c, y));
}

const maxPool: Converter = (c) => {
  const order = c.int("storage_order", 0) === 1 ? "tensorColumnMajor" : "tensor";
  return emitPool<pool.MaxPoolAttrs>(c, pool.maxPool2dOp, pool.maxPool3dOp, {
    indices: c.wants(1) ? order : "none",
  });
};

const averagePool: Converter = (c) =>
  emitPool<pool.AvgPoolAttrs>(c, pool.avgPool2dOp, pool.avgPool3dOp, {
    countIncludePad: c.int("count_include_pad", 0) === 1,
    divisorOverride: 0,
  });

const lpPool: Converter = (c) =>
  emitPool<pool.LpPoolAttrs>(c, pool.lpPool2dOp, pool.lpPool3dOp, { p: c.int("p", 2) });

const maxUnpool: Converter = (c) => {
  const [x, indices] = [c.input(0), c.input(1)];
  if (x.type.shape.length !== 4)
    throw c.unsupported("with 2 spatial axes", `${x.type.shape.length - 2}`);
  const kernel = c.ints("kernel_shape") ?? [];
  const stride = c.ints("strides") ?? [1, 1];
  const pads = c.ints("pads") ?? [0, 0, 0, 0];
  const natural = x.type.shape
    .slice(2)
    .map((n, a) => (n - 1) * stride[a] + kernel[a] - pads[a] - pads[2 + a]);
  const outputShape = [...x.type.shape.slice(0, 2), ...natural];
  const [y] = c.emit(maxUnpool2dOp, [x, indices], { outputShape, indices: "tensor" });
  // Indices count in the natural size; a larger output_shape only adds zeros after it.
  const wanted = c.optionalIntegers(2, "output_shape") ?? outputShape;
  const ends = wanted.map((n, axis) => n - outputShape[axis]);
  if (ends.every((n) => n === 0)) return [y];
  return c.emit(padOp, [y], { pads: [0, 0, 0, 0, ...ends], mode: "constant", value: 0 });
};

/** Integer convolutions: two spatial axes. */
function integerAttrs(c: NodeContext, weight: Value) {
  const spatial = spatialOf(c);
  if (spatial.length !== 2) throw c.unsupported("with 2 spatial axes", `${spatial.length}`);
  const { stride, padding, dilation } = readWindow(c, spatial, kernelOf(c, weight));
  return { stride, padding, dilation, groups: c.int("group", 1) };
}

/** A zero point that was left off. */
const zeroLike = (c: NodeContext, of: Value): Value =>
  c.made([], () => Tensor.zeros([], of.type.dtype));

const convInteger: Converter = (c) => {
  const [x, w] = [c.input(0), c.input(1)];
  return c.emit(
    convIntegerOp,
    [x, w, c.optional(2) ?? zeroLike(c, x), c.optional(3) ?? zeroLike(c, w)],
    integerAttrs(c, w),
  );
};

const qlinearConv: Converter = (c) =>
  c.emit(qlinearConvOp, c.inputs(), integerAttrs(c, c.input(3)));

export const windows: Readonly<Record<string, Converter>> = {
  Conv: conv,
  ConvTranspose: convTranspose,
  ConvInteger: convInteger,
  QLinearConv: qlinearConv,
  MaxPool: maxPool,
  AveragePool: averagePool,
  LpPool: lpPool,
  MaxUnpool: maxUnpool,
  GlobalAveragePool: (c) => c.emit(globalAvgPoolOp, [c.input(0)], {}),
  GlobalMaxPool: (c) => c.emit(globalMaxPoolOp, [c.input(0)], {}),
};
