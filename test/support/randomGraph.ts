/** Random graphs of what convolutional networks are made of. The same seed gives the same graph. */
import type { TensorType } from "../../src/core/op.js";
import { randomSource, Tensor } from "../../src/core/tensor.js";
import { Graph, type Value } from "../../src/graph/graph.js";
import { ops } from "../../src/ops/index.js";
import { twice } from "./opCases.js";

type Step = (x: Value) => Value | undefined;

/** A graph of about `size` nodes over one or two images. Sizes are nasty on purpose: channels around 4 and 8, odd images. */
export function randomGraph(seed: number, size = 14): Graph {
  const next = randomSource(seed);
  const below = (n: number): number => Math.floor(next() * n);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)];
  const graph = new Graph();
  const add = (name: string, inputs: readonly Value[], attrs: object = {}): Value => {
    const op = ops.get(name);
    if (!op) throw new Error(`no op ${name}`);
    return graph.add(op, inputs, attrs)[0];
  };
  const weight = (shape: readonly number[], scale = 1): Value => {
    const t = Tensor.randn(shape, { seed: below(2 ** 30) });
    for (let i = 0; i < t.size; i++) t.data[i] = (t.data[i] as number) * scale;
    return graph.constant(t, "w");
  };
  const positive = (shape: readonly number[]): Value => {
    const t = Tensor.rand(shape, { seed: below(2 ** 30) });
    for (let i = 0; i < t.size; i++) t.data[i] = 0.5 + (t.data[i] as number);
    return graph.constant(t, "p");
  };

  const height = 3 + below(9);
  const width = 3 + below(9);
  const images: Value[] = [];
  const type = (channels: number): TensorType => ({
    dtype: "float32",
    shape: [1 + below(2), channels, height, width],
  });
  images.push(graph.input("x", type(pick([1, 3, 4, 8, 16]))));
  const channelsOf = (v: Value): number => v.type.shape[1];
  const sizeOfImage = (v: Value): readonly number[] => v.type.shape.slice(2);

  const conv: Step = (x) => {
    const cin = channelsOf(x);
    const k = pick([1, 1, 3, 3, 5]);
    const groups = pick([1, 1, 1, cin, cin % 2 === 0 ? 2 : 1]);
    const cout = groups === 1 ? pick([1, 3, 8, 9, 16, 24]) : groups * pick([1, 2]);
    const padding = pick([
      [0, 0, 0, 0],
      [k >> 1, k >> 1, k >> 1, k >> 1],
      [k >> 1, k >> 1, k >> 1, k >> 1],
      [1, 0, 2, 1],
    ]);
    const dilation = pick([1, 1, 1, 2]);
    const stride = pick([1, 1, 1, 2]);
    const [h, w] = sizeOfImage(x);
    const reach = dilation * (k - 1) + 1;
    if (h + padding[0] + padding[2] < reach || w + padding[1] + padding[3] < reach)
      return undefined;
    const perGroup = cin / groups;
    const scale = 1 / Math.sqrt(perGroup * k * k);
    const inputs = [x, weight([cout, perGroup, k, k], scale)];
    if (next() < 0.5) inputs.push(weight([cout]));
    const attrs = { stride: [stride, stride], padding, dilation: [dilation, dilation], groups };
    return add("conv2d", inputs, attrs);
  };
  const convTranspose: Step = (x) => {
    const [h, w] = sizeOfImage(x);
    if (h > 12 || w > 12) return undefined;
    const cin = channelsOf(x);
    const groups = cin % 2 === 0 ? pick([1, 2]) : 1;
    const perGroup = pick([1, 4, 8]);
    const inputs = [x, weight([cin, perGroup, 2, 2], 1 / Math.sqrt(cin))];
    if (next() < 0.5) inputs.push(weight([perGroup * groups]));
    return add("convTranspose2d", inputs, {
      stride: [2, 2],
      padding: [0, 0, 0, 0],
      outputPadding: [0, 0],
      dilation: [1, 1],
      groups,
    });
  };
  const batchNorm: Step = (x) => {
    const c = [channelsOf(x)];
    return add("batchNorm", [x, positive(c), weight(c), weight(c), positive(c)], { eps: 1e-3 });
  };
  const activation: Step = (x) => {
    if (next() < 0.1) return add("prelu", [x, weight([channelsOf(x), 1, 1])]);
    const [name, attrs] = pick<[string, object]>([
      ["relu", {}],
      ["clip", { min: 0, max: 6 }],
      ["leakyRelu", { alpha: 0.1 }],
      ["sigmoid", {}],
      ["hardSwish", {}],
      ["silu", { alpha: 1 }],
      ["tanh", {}],
      ["hardSigmoid", { alpha: 0.2, beta: 0.5 }],
      ["gelu", { approximate: "none" }],
    ]);
    return add(name, [x], attrs);
  };
  const number = (value: number): Value =>
    graph.constant(Tensor.full(pick([[], [1], [1, 1, 1, 1]]), value));
  /** Activations as models write them. */
  const written: Step = (x) => {
    const clipped = () => add("clip", [add("add", [x, number(3)])], { min: 0, max: 6 });
    const way = below(6);
    if (way === 5) {
      const share = add("add", [add("erf", [add("div", [x, number(Math.SQRT2)])]), number(1)]);
      return add("mul", [add("mul", [x, share]), number(0.5)]);
    }
    if (way === 0) return add("mul", [x, add("sigmoid", [x])]);
    if (way === 1) return add("div", [add("mul", [x, clipped()]), number(6)]);
    if (way === 2) return add("mul", [add("div", [clipped(), number(6)]), x]);
    if (way === 3) return add("mul", [x, add("tanh", [add("softplus", [x])])]);
    return add("mul", [clipped(), number(1 / 6)]);
  };
  /** A number after an activation goes into the same epilogue. */
  const scaled: Step = (x) => {
    const y = conv(x);
    return y && add("add", [add("mul", [activation(y) as Value, number(0.5)]), number(1)]);
  };
  const pool: Step = (x) => {
    const [h, w] = sizeOfImage(x);
    if (h < 3 || w < 3) return undefined;
    const window = {
      kernel: [3, 3],
      stride: pick([
        [1, 1],
        [2, 2],
      ]),
      padding: pick([
        [0, 0, 0, 0],
        [1, 1, 1, 1],
      ]),
      dilation: [1, 1],
      ceilMode: next() < 0.3,
    };
    return next() < 0.5
      ? add("maxPool2d", [x], { ...window, indices: "none" })
      : add("avgPool2d", [x], {
          ...window,
          countIncludePad: next() < 0.5,
          divisorOverride: 0,
        });
  };
  const pad: Step = (x) => {
    const pads = [0, 0, below(2), below(3), 0, next() < 0.2 ? below(3) : 0, below(3), below(2)];
    return add("pad", [x], { pads, mode: "constant", value: pick([0, 0, 0, 1.5]) });
  };
  const perChannel: Step = (x) => {
    const c = channelsOf(x);
    const shape = pick([[c, 1, 1], [1, c, 1, 1], [], [1, c, ...sizeOfImage(x)]]);
    const name = pick(["add", "sub", "mul", "div"]);
    const numbers = name === "div" ? positive(shape) : weight(shape);
    // A constant made of constants, as exporters leave them.
    const other = next() < 0.3 ? add("add", [numbers, number(0.5)]) : numbers;
    const order = next() < 0.8 || name === "div" ? [x, other] : [other, x];
    return add(name, order);
  };
  const combine: Step = (x) => {
    const partners = images.filter((v) => v.type.shape.join() === x.type.shape.join());
    return add(pick(["add", "add", "add", "mul", "sub"]), [x, pick(partners)]);
  };
  const concat: Step = (x) => {
    const fits = (v: Value) => [0, 2, 3].every((a) => v.type.shape[a] === x.type.shape[a]);
    const parts = [x, pick(images.filter(fits)), ...(next() < 0.2 ? [x] : [])];
    const channels = parts.reduce((sum, v) => sum + channelsOf(v), 0);
    return channels > 48 ? undefined : add("concat", parts, { axis: 1 });
  };
  /** The image's mean, as models write it. */
  const meanOf = (x: Value): Value => {
    const axes = [2, 3];
    const way = below(3);
    if (way === 0) return add("globalAvgPool", [x]);
    if (way === 1) return add("reduceMean", [x], { axes, keepDims: true });
    const shape = [...x.type.shape.slice(0, 2), 1, 1];
    return add("reshape", [add("reduceMean", [x], { axes, keepDims: false })], { shape });
  };
  /** Squeeze and excite: a gate per channel from the image's mean; the image may be added again. */
  const excite: Step = (x) => {
    const gate = conv1x1(meanOf(x), channelsOf(x));
    const gated = add("mul", [x, add("sigmoid", [gate])]);
    return next() < 0.5 ? gated : add("add", next() < 0.5 ? [gated, x] : [x, gated]);
  };
  /** Twice the size; two of them may be added. */
  const upsample: Step = (x) => {
    const [n, c, h, w] = x.type.shape;
    if (h > 10 || w > 10) return undefined;
    const resize = (mode: string): Value =>
      add("resize", [x], {
        ...twice,
        sizes: [n, c, 2 * h, 2 * w],
        mode,
        coordinates: pick(["asymmetric", "half_pixel"]),
      });
    return next() < 0.3
      ? resize(pick(["nearest", "linear"]))
      : add("add", [resize("linear"), resize("nearest")]);
  };
  const shuffle: Step = (x) => {
    const [n, c, h, w] = x.type.shape;
    const groups = pick([2, 3, 4]);
    if (c % groups !== 0) return undefined;
    const apart = add("reshape", [x], { shape: [n, groups, c / groups, h, w] });
    const exchanged = add("transpose", [apart], { perm: [0, 2, 1, 3, 4] });
    return add("reshape", [exchanged], { shape: [n, c, h, w] });
  };
  /** Some of the channels, by a slice or a split. */
  const part: Step = (x) => {
    const [n, c, h, w] = x.type.shape;
    if (c < 3) return undefined;
    const first = 1 + below(c - 1);
    const sizes = [first, c - first];
    const [op, which] = [ops.get("split"), below(2)];
    if (op && next() < 0.5) return graph.add(op, [x], { axis: 1, sizes })[which];
    const starts = [0, which === 0 ? 0 : first, 0, 0];
    return add("slice", [x], { starts, sizes: [n, sizes[which], h, w], steps: [1, 1, 1, 1] });
  };
  const responseNorm: Step = (x) =>
    add("localResponseNorm", [x], {
      size: pick([1, 2, 3, 5, 12]),
      alpha: 0.5,
      beta: pick([0.75, 0.75, 0.5]),
      k: pick([1, 2]),
    });
  const conv1x1 = (x: Value, cout: number): Value =>
    add("conv2d", [x, weight([cout, channelsOf(x), 1, 1], 0.3)], {
      stride: [1, 1],
      padding: [0, 0, 0, 0],
      dilation: [1, 1],
      groups: 1,
    });
  /** A gate per pixel, as in spatial attention: broadcasts over channels. */
  const attend: Step = (x) => add("mul", [x, add("sigmoid", [conv1x1(x, 1)])]);
  const there: Step = (x) => {
    const [n, c, h, w] = x.type.shape;
    const flat = add("reshape", [x], { shape: [n, c, h * w] });
    return add("reshape", [flat], { shape: [n, c, h, w] });
  };
  // What passes look for is rare among single random steps, so it is also made on purpose.
  /** Padding by its own node, zeros or not, in front of what pads by itself or not. */
  const padded: Step = (x) => {
    const y = pad(x);
    return y && pick([conv, conv, pool])(y);
  };
  /** A product read twice: by a branch of its own and by what could be folded or fused into it. */
  const shared: Step = (x) => {
    const y = conv(x);
    if (!y) return undefined;
    const side = pick([conv, activation, batchNorm])(y);
    const branch = side && pick([batchNorm, activation, perChannel])(side);
    const main = pick([batchNorm, perChannel, activation])(y);
    if (branch) images.push(branch);
    return main;
  };
  /** A residual block; the sum may come in either order, and may be what the next block starts from. */
  const residual: Step = (x) => {
    const c = channelsOf(x);
    const middle = activation(batchNorm(conv1x1(x, pick([4, 8, 9])) as Value) as Value) as Value;
    const y = batchNorm(conv1x1(middle, c)) as Value;
    const sum = add("add", next() < 0.5 ? [x, y] : [y, x]);
    return next() < 0.7 ? activation(sum) : sum;
  };
  /** Branches side by side, as in Inception and SqueezeNet: every one blocked, or not, before the concatenation. */
  const branches: Step = (x) => {
    const widths = Array.from({ length: 2 + below(2) }, () => pick([3, 8, 8, 16, 12]));
    return add(
      "concat",
      widths.map((n) => activation(conv1x1(x, n)) as Value),
      { axis: 1 },
    );
  };
  /** A norm in front of a product, as in DenseNet but for the activation. */
  const ahead: Step = (x) => conv1x1(pick([batchNorm, perChannel])(x) as Value, pick([4, 8, 12]));
  /** DenseNet's block: every layer reads all before it. */
  const dense: Step = (x) => {
    const features = [x];
    let joined = x;
    for (let layer = 0; layer < 2 && channelsOf(joined) <= 32; layer++) {
      features.push(activation(conv1x1(joined, 8)) as Value);
      joined = add("concat", features, { axis: 1 });
    }
    return joined;
  };
  /** Halves that are joined with what becomes of one of them. */
  const halves: Step = (x) => {
    const half = channelsOf(x) / 2;
    const op = ops.get("split");
    if (!op || half % 1 !== 0 || half > 16) return undefined;
    const [a, b] = graph.add(op, [x], { axis: 1, sizes: [half, half] });
    return add("concat", [a, b, activation(conv1x1(b, half)) as Value], { axis: 1 });
  };
  /** MobileNet's block, and what makes it run in blocks of channels. */
  const inverted: Step = (x) => {
    const c = pick([8, 9, 16, 24]);
    const same = { stride: [1, 1], padding: [1, 1, 1, 1], dilation: [1, 1] };
    const wide = activation(conv1x1(x, c)) as Value;
    const y = add("conv2d", [wide, weight([c, 1, 3, 3], 0.3)], { ...same, groups: c });
    return add("conv2d", [y, weight([8, c, 3, 3], 0.1)], { ...same, groups: 1 });
  };
  /** Statistics of the image itself. */
  const ownNorm: Step = (x) => {
    const c = channelsOf(x);
    const inputs = [x, positive([c]), weight([c])];
    const groups = c % 2 === 0 ? 2 : 1;
    if (next() < 0.4) return add("instanceNorm", inputs, { eps: 0.1 });
    if (next() < 0.5) return add("groupNorm", inputs, { eps: 0.1, groups });
    // As exporters write groupNorm: the groups are the channels of another image.
    const [n, , h, w] = x.type.shape;
    const grouped = add("reshape", [x], { shape: [n, groups, (c / groups) * h * w] });
    const normed = add("instanceNorm", [grouped, positive([groups]), weight([groups])], {
      eps: 0.1,
    });
    const back = add("reshape", [normed], { shape: x.type.shape });
    const scaled = next() < 0.7 ? add("mul", [back, positive([c, 1, 1])]) : back;
    return next() < 0.7 ? add("add", [weight([c, 1, 1]), scaled]) : scaled;
  };
  /** ConvNeXt's block: channels last between two transposes. */
  const channelsLast: Step = (x) => {
    const c = channelsOf(x);
    const y = add("transpose", [x], { perm: [0, 2, 3, 1] });
    const mean = (v: Value): Value => add("reduceMean", [v], { axes: [3], keepDims: true });
    const d = add("sub", [y, mean(y)]);
    const deviation = add("sqrt", [add("add", [mean(add("mul", [d, d])), number(0.1)])]);
    const normed = add("mul", [add("div", [d, deviation]), positive([c])]);
    const wide = add("linear", [normed, weight([2 * c, c], 0.3), weight([2 * c])]);
    const narrow = add("linear", [activation(wide) as Value, weight([c, 2 * c], 0.3)]);
    const back = add("transpose", [add("mul", [narrow, weight([c])])], { perm: [0, 3, 1, 2] });
    return next() < 0.8 ? add("add", [back, x]) : back;
  };
  /** Convolutions of signals, each on images of one row between two reshapes. */
  const signals: Step = (x) => {
    const [n, , h, w] = x.type.shape;
    const conv1d = (signal: Value): Value => {
      const [c, out] = [channelsOf(signal), pick([4, 8, 9])];
      const image = add("reshape", [signal], { shape: [n, c, 1, h * w] });
      const window = { stride: [1, 1], padding: [0, 1, 0, 1], dilation: [1, 1], groups: 1 };
      const y = add("conv2d", [image, weight([out, c, 1, 3], 0.3)], window);
      return add("reshape", [y], { shape: [n, out, h * w] });
    };
    const y = conv1d(add("reshape", [x], { shape: [n, channelsOf(x), h * w] }));
    const slopes = weight([channelsOf(y), 1]);
    const z = next() < 0.5 ? add("prelu", [y, slopes]) : add("relu", [batchNorm(y) as Value]);
    const both = next() < 0.5 ? add("concat", [y, z], { axis: 1 }) : z;
    const out = conv1d(both);
    return add("reshape", [out], { shape: [n, channelsOf(out), h, w] });
  };
  /** Channels that a product makes become pixels. */
  const pixelShuffle: Step = (x) => {
    const [, , h, w] = x.type.shape;
    if (h * w > 36) return undefined;
    const wide = conv1x1(x, 4 * pick([1, 8, 9]));
    const attrs = { blockSize: 2, mode: pick(["CRD", "CRD", "DCR"]) };
    return add("depthToSpace", [next() < 0.5 ? (batchNorm(wide) as Value) : wide], attrs);
  };
  /** Every pixel looks at all of them; its scores are scaled in one of the ways that models write it. */
  const attention: Step = (x) => {
    const [n, c, h, w] = x.type.shape;
    const values = add("reshape", [x], { shape: [n, c, h * w] });
    const scores = add("matmul", [add("transpose", [values], { perm: [0, 2, 1] }), values]);
    const factor = graph.constant(Tensor.full(pick([[], [1]]), 0.3));
    const scaled = pick([
      () => add("mul", [scores, factor]),
      () => add("mul", [factor, scores]),
      () => add("div", [scores, factor]),
    ])();
    const shares = add("transpose", [add("softmax", [scaled], { axis: 2 })], { perm: [0, 2, 1] });
    return add("reshape", [add("matmul", [values, shares])], { shape: [n, c, h, w] });
  };
  /** Branches that each begin with the same. */
  const cell: Step = (x) => {
    const [name, attrs] = pick<[string, object]>([
      ["relu", {}],
      ["clip", { min: -1, max: Number.POSITIVE_INFINITY }],
    ]);
    const branch = () => conv1x1(add(name, [x], attrs), 8);
    return add("add", [branch(), branch()]);
  };
  const steps = [
    cell,
    ...[ownNorm, channelsLast, signals, attention, pixelShuffle],
    ...[inverted, padded, ahead, dense, halves, shared, shared, residual, branches],
    ...[conv, conv, conv, conv, batchNorm, batchNorm, activation, activation, written, pool],
    ...[pad, perChannel, combine, combine, concat, excite, attend, convTranspose, there],
    ...[upsample, responseNorm, shuffle, shuffle, part, scaled],
  ];
  let last = images[0];
  while (graph.nodes.length < size) {
    // Mostly on from the last result, so that chains arise for passes to find; sometimes a branch from an earlier one.
    const x = next() < 0.75 ? last : pick(images);
    const y = pick(steps)(x);
    if (!y) continue;
    images.push(y);
    last = y;
  }
  const outputs = next() < 0.3 ? [last, pick(images)] : [last];
  if (next() < 0.5) outputs[0] = flatten(graph, last);
  graph.outputs = outputs.map((value, i) => ({ name: `y${i}`, value }));
  return graph;
}

function flatten(graph: Graph, x: Value): Value {
  const reshape = ops.get("reshape");
  if (!reshape) throw new Error("no op reshape");
  const [n, ...rest] = x.type.shape;
  return graph.add(reshape, [x], { shape: [n, rest.reduce((a, b) => a * b, 1)] })[0];
}
