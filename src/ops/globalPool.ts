/**
 * Pools whose windows follow from the input: global (one window per channel) and adaptive (a given number of windows).
 * An adaptive window i of n over a size s covers floor(i*s/n) to ceil((i+1)*s/n), PyTorch's rule. maxUnpool2d puts maxima back.
 */
import { dispatch } from "../core/dispatch.js";
import { expected, ShapeError, showShape, TensorError } from "../core/errors.js";
import type { OpDef } from "../core/op.js";
import { readInts } from "../core/options.js";
import { sizeOf } from "../core/shape.js";
import { numbersOf, Tensor, writeNumber } from "../core/tensor.js";
import {
  batched,
  checkCount,
  checkFloat,
  checkRank,
  firstByImage,
  followsOnImages,
} from "./shared.js";

const mean = (numbers: readonly number[]): number =>
  numbers.reduce((sum, v) => sum + v, 0) / numbers.length;
const largest = (numbers: readonly number[]): number =>
  numbers.reduce(
    (best, v) => (Number.isNaN(best) || best > v ? best : v),
    Number.NEGATIVE_INFINITY,
  );

function defineGlobalPool(name: string, reduce: (numbers: readonly number[]) => number): OpDef {
  return {
    name,
    byImage: firstByImage,
    infer(inputs) {
      checkCount(name, inputs, 1);
      checkFloat(name, inputs);
      const [{ dtype, shape }] = inputs;
      if (shape.length < 3)
        throw new ShapeError(
          expected(name, "input (N, C, ...) with spatial axes", showShape(shape)),
        );
      return [{ dtype, shape: [shape[0], shape[1], ...shape.slice(2).map(() => 1)] }];
    },
    reference([x], _attrs, [y]) {
      const size = sizeOf(x.shape.slice(2));
      const from = Array.from(numbersOf(x));
      for (let plane = 0; plane < y.size; plane++)
        writeNumber(y, plane, reduce(from.slice(plane * size, (plane + 1) * size)));
    },
    window: ([x]) => {
      const spatial = x.shape.slice(2);
      const ones = spatial.map(() => 1);
      return {
        kernel: spatial,
        stride: ones,
        padding: [...spatial, ...spatial].map(() => 0),
        dilation: ones,
      };
    },
    gradient: ({ inputs: [x], outputs: [y], outputGradients: [dy] }) => {
      const dx = Tensor.zeros(x.shape, x.dtype);
      const [to, from, out, change] = [dx, x, y, dy].map((t) => t.data as Float32Array);
      const size = sizeOf(x.shape.slice(2));
      for (let plane = 0; plane < y.size; plane++) {
        const [begin, end] = [plane * size, (plane + 1) * size];
        if (reduce === mean) to.fill(change[plane] / size, begin, end);
        else to[Math.max(begin, from.indexOf(out[plane], begin))] = change[plane];
      }
      return [dx];
    },
    layout: followsOnImages,
  };
}

export const globalAvgPoolOp = defineGlobalPool("globalAvgPool", mean);
export const globalMaxPoolOp = defineGlobalPool("globalMaxPool", largest);

export interface AdaptivePoolAttrs {
  readonly outputSize: readonly number[];
}

/** Calls visit(output element, the places in the input that its window covers), for every plane. */
function forEachAdaptiveWindow(
  [batch, channels, height, width]: readonly number[],
  [outHeight, outWidth]: readonly number[],
  visit: (o: number, places: readonly number[]) => void,
): void {
  const range = (i: number, size: number, n: number) => {
    const begin = Math.floor((i * size) / n);
    return Array.from({ length: Math.ceil(((i + 1) * size) / n) - begin }, (_, k) => begin + k);
  };
  let next = 0;
  for (let plane = 0; plane < batch * channels; plane++) {
    for (let oy = 0; oy < outHeight; oy++) {
      for (let ox = 0; ox < outWidth; ox++) {
        const columns = range(ox, width, outWidth);
        const places = range(oy, height, outHeight).flatMap((row) =>
          columns.map((column) => (plane * height + row) * width + column),
        );
        visit(next++, places);
      }
    }
  }
}

function defineAdaptivePool(
  name: string,
  reduce: (numbers: readonly number[]) => number,
  blocked: boolean,
): OpDef<AdaptivePoolAttrs> {
  return {
    name,
    byImage: firstByImage,
    sight:
      ([x], { outputSize }, axis) =>
      (at) => {
        const [size, n] = [x.shape[2 + axis], outputSize[axis]];
        return [Math.floor((at * size) / n), Math.ceil(((at + 1) * size) / n) - 1];
      },
    infer(inputs, { outputSize }) {
      checkCount(name, inputs, 1);
      checkFloat(name, inputs);
      const [x] = inputs;
      checkRank(name, "input", x, 4, "(N, C, H, W)");
      if (x.shape[2] === 0 || x.shape[3] === 0)
        throw new ShapeError(expected(name, "a non-empty input", showShape(x.shape)));
      return [{ dtype: x.dtype, shape: [x.shape[0], x.shape[1], ...outputSize] }];
    },
    reference([x], { outputSize }, [y]) {
      const from = numbersOf(x);
      forEachAdaptiveWindow(x.shape, outputSize, (o, places) => {
        writeNumber(y, o, reduce(places.map((p) => from[p])));
      });
    },
    gradient: ({ inputs: [x], attrs: { outputSize }, outputs: [y], outputGradients: [dy] }) => {
      const dx = Tensor.zeros(x.shape, x.dtype);
      const [to, from, out, change] = [dx, x, y, dy].map((t) => t.data as Float32Array);
      forEachAdaptiveWindow(x.shape, outputSize, (o, places) => {
        if (reduce === mean) for (const p of places) to[p] += change[o] / places.length;
        else to[places.find((p) => from[p] === out[o]) ?? places[0]] += change[o];
      });
      return [dx];
    },
    layout: blocked ? followsOnImages : undefined,
  };
}

export const adaptiveAvgPool2dOp = defineAdaptivePool("adaptiveAvgPool2d", mean, true);
export const adaptiveMaxPool2dOp = defineAdaptivePool("adaptiveMaxPool2d", largest, false);

export interface MaxUnpoolAttrs {
  readonly outputShape: readonly number[];
  readonly indices: "plane" | "tensor";
}

export const maxUnpool2dOp: OpDef<MaxUnpoolAttrs> = {
  name: "maxUnpool2d",
  infer(inputs, { outputShape }) {
    checkCount("maxUnpool2d", inputs, 2);
    const [x, indices] = inputs;
    checkRank("maxUnpool2d", "input", x, 4, "(N, C, H, W)");
    if (indices.dtype !== "int64" || sizeOf(indices.shape) !== sizeOf(x.shape)) {
      throw new TensorError(
        expected(
          "maxUnpool2d",
          `int64 indices of shape ${showShape(x.shape)}`,
          `${indices.dtype} ${showShape(indices.shape)}`,
        ),
      );
    }
    return [{ dtype: x.dtype, shape: outputShape }];
  },
  reference([x, indices], attrs, [y]) {
    const plane = sizeOf(x.shape.slice(2));
    const outPlane = sizeOf(attrs.outputShape.slice(2));
    for (let i = 0; i < x.size; i++) {
      const base = attrs.indices === "plane" ? Math.floor(i / plane) * outPlane : 0;
      const at = base + Number(indices.data[i]);
      if (at < 0 || at >= y.size) {
        throw new ShapeError(
          expected("maxUnpool2d", `indices from 0 to ${y.size - 1}`, `${indices.data[i]}`),
        );
      }
      y.data[at] = x.data[i];
    }
  },
};

const spatialSize = (op: string, x: Tensor, size: unknown): number[] =>
  Array.isArray(size)
    ? size.map((n, a) => (n === null ? x.shape[2 + a] : readInts(op, "outputSize", n, 1, 1)[0]))
    : readInts(op, "outputSize", size, 2, 1);

/**
 * The mean of each of outputSize windows, which divide the input evenly.
 *
 * @param input       (N, C, H, W) or (C, H, W)
 * @param outputSize  one number, or [height, width]; null keeps the input's size
 * @see torch.nn.functional.adaptive_avg_pool2d
 */
export const adaptiveAvgPool2d = (
  input: Tensor,
  outputSize: number | readonly (number | null)[],
): Tensor =>
  batched(
    "adaptiveAvgPool2d",
    input,
    4,
    (x) =>
      dispatch(adaptiveAvgPool2dOp, [x], {
        outputSize: spatialSize("adaptiveAvgPool2d", x, outputSize),
      })[0],
  );

/** The maximum of each of outputSize windows; see adaptiveAvgPool2d. */
export const adaptiveMaxPool2d = (
  input: Tensor,
  outputSize: number | readonly (number | null)[],
): Tensor =>
  batched(
    "adaptiveMaxPool2d",
    input,
    4,
    (x) =>
      dispatch(adaptiveMaxPool2dOp, [x], {
        outputSize: spatialSize("adaptiveMaxPool2d", x, outputSize),
      })[0],
  );

/** The mean of every channel: (N, C, ...) -> (N, C, 1, ...). */
export const globalAvgPool = (input: Tensor): Tensor => dispatch(globalAvgPoolOp, [input], {})[0];

/** The maximum of every channel: (N, C, ...) -> (N, C, 1, ...). */
export const globalMaxPool = (input: Tensor): Tensor => dispatch(globalMaxPoolOp, [input], {})[0];

/**
 * Puts each value of a max pool back where it came from; zero elsewhere.
 *
 * @param input       (N, C, H, W), the pool's values
 * @param indices     (N, C, H, W), int64, as maxPool2dWithIndices gives them
 * @param outputSize  [height, width] of the result
 */
export const maxUnpool2d = (
  input: Tensor,
  indices: Tensor,
  outputSize: readonly number[],
): Tensor =>
  dispatch(maxUnpool2dOp, [input, indices], {
    outputShape: [
      ...input.shape.slice(0, 2),
      ...readInts("maxUnpool2d", "outputSize", outputSize, 2, 1),
    ],
    indices: "plane",
  })[0];
