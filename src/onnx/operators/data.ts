/** Operators that move, shape and make data. What only shapes becomes a constant here. */
import { broadcastShapes, normalizeAxes, normalizeAxis, sizeOf } from "../../core/shape.js";
import { readNumber, Tensor, writeNumber } from "../../core/tensor.js";
import * as data from "../../ops/data.js";
import { depthToSpaceOp, spaceToDepthOp } from "../../ops/depthToSpace.js";
import { gatherElementsOp, gatherNdOp, gatherOp } from "../../ops/gather.js";
import { padOp } from "../../ops/pad.js";
import { cumSumOp } from "../../ops/reduce.js";
import type { Converter, NodeContext } from "../context.js";

const int64s = (values: readonly number[]): Tensor =>
  new Tensor(BigInt64Array.from(values.map(BigInt)), [values.length]);

const constant: Converter = (c) => {
  const tensor = c.tensor("value");
  if (tensor) return [c.made(tensor.shape, () => tensor)];
  if (c.has("value_float")) return [c.made([], () => Tensor.from(c.float("value_float")))];
  if (c.has("value_int")) return [c.made([], () => Tensor.from(c.int("value_int"), "int64"))];
  const floats = c.floats("value_floats");
  if (c.has("value_floats") && floats) return [c.made([floats.length], () => Tensor.from(floats))];
  const ints = c.ints("value_ints");
  if (c.has("value_ints") && ints) return [c.made([ints.length], () => int64s(ints))];
  throw c.unsupported("with a dense numeric value", "a sparse or string value, or none");
};

const constantOfShape: Converter = (c) => {
  const shape = c.integers(0, "shape");
  const value = c.tensor("value") ?? Tensor.zeros([1]);
  return [
    c.made(shape, () => {
      const result = Tensor.zeros(shape, value.dtype);
      result.data.fill(value.data[0] as never);
      return result;
    }),
  ];
};

const range: Converter = (c) => {
  const [start, limit, delta] = [0, 1, 2].map((i) =>
    readNumber(c.constant(i, ["start", "limit", "delta"][i]), 0),
  );
  const { dtype } = c.input(0).type;
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  if (!Number.isSafeInteger(count)) throw c.invalid("with a delta that is not 0", `${delta}`);
  return [
    c.made([count], () => {
      const result = Tensor.zeros([count], dtype);
      for (let i = 0; i < count; i++) writeNumber(result, i, start + i * delta);
      return result;
    }),
  ];
};

const shape: Converter = (c) => {
  const { shape: sizes } = c.input(0).type;
  const wrap = (i: number) => Math.min(Math.max(i < 0 ? i + sizes.length : i, 0), sizes.length);
  const picked = sizes.slice(wrap(c.int("start", 0)), wrap(c.int("end", sizes.length)));
  return [c.made([picked.length], () => int64s(picked))];
};

const size: Converter = (c) => [
  c.made([], () => Tensor.from(sizeOf(c.input(0).type.shape), "int64")),
];

const reshape: Converter = (c) => {
  const x = c.input(0);
  const wanted = c.opset < 5 ? (c.ints("shape") ?? []) : c.integers(1, "shape");
  const keepZero = c.int("allowzero", 0) === 1;
  const sizes = wanted.map((n, axis) => (n === 0 && !keepZero ? (x.type.shape[axis] ?? 0) : n));
  const known = sizes.reduce((product, n) => (n === -1 ? product : product * n), 1);
  const complete = sizes.map((n) =>
    n === -1 ? (known === 0 ? 0 : sizeOf(x.type.shape) / known) : n,
  );
  if (
    wanted.filter((n) => n === -1).length > 1 ||
    complete.some((n) => !Number.isInteger(n) || n < 0)
  ) {
    throw c.invalid(`with a shape for ${sizeOf(x.type.shape)} elements`, `[${wanted.join(", ")}]`);
  }
  return c.emit(data.reshapeOp, [x], { shape: complete });
};

const flatten: Converter = (c) => {
  const { shape: sizes } = c.input(0).type;
  const axis = c.int("axis", 1);
  if (axis < -sizes.length || axis > sizes.length)
    throw c.invalid(`with an axis from ${-sizes.length} to ${sizes.length}`, `${axis}`);
  const at = axis < 0 ? axis + sizes.length : axis;
  return c.emit(data.reshapeOp, [c.input(0)], {
    shape: [sizeOf(sizes.slice(0, at)), sizeOf(sizes.slice(at))],
  });
};

/** Axes from an attribute (older models) or an input. */
const axesOf = (c: NodeContext, since: number): number[] | undefined =>
  c.opset < since ? c.ints("axes") : c.optionalIntegers(1, "axes");

const squeeze: Converter = (c) => {
  const { shape: sizes } = c.input(0).type;
  const given = axesOf(c, 13);
  const axes = given
    ? normalizeAxes("axes", given, sizes.length)
    : sizes.flatMap((n, axis) => (n === 1 ? [axis] : []));
  if (axes.some((axis) => sizes[axis] !== 1))
    throw c.invalid("of axes of size 1", `axes [${axes.join(", ")}] of (${sizes.join(", ")})`);
  return c.emit(data.reshapeOp, [c.input(0)], {
    shape: sizes.filter((_, axis) => !axes.includes(axis)),
  });
};

const unsqueeze: Converter = (c) => {
  const { shape: sizes } = c.input(0).type;
  const given = axesOf(c, 13);
  if (!given) throw c.invalid("with axes", "none");
  const rank = sizes.length + given.length;
  const axes = normalizeAxes("axes", given, rank);
  const rest = [...sizes];
  return c.emit(data.reshapeOp, [c.input(0)], {
    shape: Array.from({ length: rank }, (_, axis) =>
      axes.includes(axis) ? 1 : (rest.shift() as number),
    ),
  });
};

const transpose: Converter = (c) => {
  const rank = c.input(0).type.shape.length;
  return c.emit(data.transposeOp, [c.input(0)], {
    perm: c.ints("perm") ?? Array.from({ length: rank }, (_, i) => rank - 1 - i),
  });
};

const concat: Converter = (c) => {
  const inputs = c.inputs();
  return c.emit(data.concatOp, inputs, {
    axis: normalizeAxis(
      "axis",
      c.int("axis", c.opset < 4 ? 1 : undefined),
      inputs[0].type.shape.length,
    ),
  });
};

const split: Converter = (c) => {
  const { shape: sizes } = c.input(0).type;
  const axis = normalizeAxis("axis", c.int("axis", 0), sizes.length);
  const given = c.opset < 13 ? c.ints("split") : c.optionalIntegers(1, "split");
  const parts = c.int("num_outputs", c.outputCount);
  // Equal parts; where they cannot be, the last is smaller.
  const part = Math.ceil(sizes[axis] / parts);
  const equal = Array.from({ length: parts }, (_, i) =>
    Math.max(0, Math.min(part, sizes[axis] - i * part)),
  );
  return c.emit(data.splitOp, [c.input(0)], { axis, sizes: given ?? equal });
};

const slice: Converter = (c) => {
  const { shape: sizes } = c.input(0).type;
  const rank = sizes.length;
  const old = c.opset < 10;
  const from = old ? (c.ints("starts") ?? []) : c.integers(1, "starts");
  const to = old ? (c.ints("ends") ?? []) : c.integers(2, "ends");
  const given = (old ? c.ints("axes") : c.optionalIntegers(3, "axes")) ?? from.map((_, i) => i);
  const by = (old ? undefined : c.optionalIntegers(4, "steps")) ?? from.map(() => 1);
  const attrs = { starts: sizes.map(() => 0), sizes: [...sizes], steps: sizes.map(() => 1) };
  given.forEach((a, i) => {
    const axis = normalizeAxis("axes", a, rank);
    const n = sizes[axis];
    const step = by[i];
    if (!step) throw c.invalid("with steps that are not 0", `${step}`);
    const wrap = (k: number) => (k < 0 ? k + n : k);
    const clamp = (k: number, low: number, high: number) => Math.min(Math.max(k, low), high);
    const start = step > 0 ? clamp(wrap(from[i]), 0, n) : clamp(wrap(from[i]), 0, n - 1);
    const end = step > 0 ? clamp(wrap(to[i]), 0, n) : clamp(wrap(to[i]), -1, n - 1);
    attrs.starts[axis] = start;
    attrs.steps[axis] = step;
    attrs.sizes[axis] = Math.max(0, Math.ceil((end - start) / step));
  });
  return c.emit(data.sliceOp, [c.input(0)], attrs);
};

const pad: Converter = (c) => {
  const x = c.input(0);
  const rank = x.type.shape.length;
  const mode = c.choice("mode", "constant", ["constant", "reflect", "edge", "wrap"]);
  const given =
    c.opset < 11 ? (c.ints(c.has("paddings") ? "paddings" : "pads") ?? []) : c.integers(1, "pads");
  const fill = c.opset < 11 ? undefined : c.optionalConstant(2, "constant_value");
  const value = fill ? readNumber(fill, 0) : c.float("value", 0);
  const axes =
    (c.opset >= 18 ? c.optionalIntegers(3, "axes") : undefined)?.map((a) =>
      normalizeAxis("axes", a, rank),
    ) ?? x.type.shape.map((_, a) => a);
  if (given.length !== 2 * axes.length)
    throw c.invalid(`with ${2 * axes.length} pads`, `${given.length}`);
  const pads = new Array<number>(2 * rank).fill(0);
  axes.forEach((axis, i) => {
    pads[axis] = given[i];
    pads[rank + axis] = given[axes.length + i];
  });
  return c.emit(padOp, [x], { pads, mode, value });
};

const gather =
  (op: typeof gatherOp): Converter =>
  (c) =>
    c.emit(op, [c.input(0), c.input(1)], {
      axis: normalizeAxis("axis", c.int("axis", 0), c.input(0).type.shape.length),
    });

const expand: Converter = (c) => {
  const x = c.input(0);
  return c.emit(data.expandOp, [x], {
    shape: broadcastShapes("expand", x.type.shape, c.integers(1, "shape")),
  });
};

const tile: Converter = (c) =>
  c.emit(data.tileOp, [c.input(0)], { repeats: c.integers(1, "repeats") });

const depthToSpace: Converter = (c) =>
  c.emit(depthToSpaceOp, [c.input(0)], {
    blockSize: c.int("blocksize"),
    mode: c.choice("mode", "DCR", ["DCR", "CRD"]),
  });

const spaceToDepth: Converter = (c) =>
  c.emit(spaceToDepthOp, [c.input(0)], {
    blockSize: c.int("blocksize"),
    mode: c.choice("mode", "DCR", ["DCR", "CRD"]),
  });

/** In inference dropout does nothing; its mask, which hardly anybody reads, is all true. */
const dropout: Converter = (c) => {
  const training =
    c.opset >= 12 && c.optional(2) && readNumber(c.constant(2, "training_mode"), 0) !== 0;
  const ratio = c.opset >= 12 && c.optional(1) ? readNumber(c.constant(1, "ratio"), 0) : 0.5;
  if (training && ratio !== 0) throw c.unsupported("in inference mode", "training mode");
  const x = c.input(0);
  if (!c.wants(1)) return [x];
  const yes = c.graph.constant(Tensor.ones([1], "bool"), c.node.output[1]);
  return [x, c.graph.add(data.expandOp, [yes], { shape: x.type.shape })[0]];
};

const cumSum: Converter = (c) =>
  c.emit(cumSumOp, [c.input(0)], {
    axis: normalizeAxis("axis", c.integers(1, "axis")[0], c.input(0).type.shape.length),
    exclusive: c.int("exclusive", 0) === 1,
    reverse: c.int("reverse", 0) === 1,
  });

export const dataOperators: Readonly<Record<string, Converter>> = {
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Range: range,
  Shape: shape,
  Size: size,
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: transpose,
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  Gather: gather(gatherOp),
  GatherElements: gather(gatherElementsOp),
  GatherND: (c) =>
    c.emit(gatherNdOp, [c.input(0), c.input(1)], { batchDims: c.int("batch_dims", 0) }),
  Expand: expand,
  Tile: tile,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  Dropout: dropout,
  CumSum: cumSum,
};
