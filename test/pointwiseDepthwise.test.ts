/** A 1x1 convolution and the depthwise one after it as one step: what the two give one after the other, in every cut. */
import { describe, expect, it } from "vitest";
import { compile } from "../src/compile.js";
import { withBackend } from "../src/core/dispatch.js";
import { Tensor } from "../src/core/tensor.js";
import * as F from "../src/functional.js";
import "../src/backends/choose.js";
import { native, nativeIsas, referenceBackend } from "./support/backends.js";
import { expectClose, magnitude } from "./support/compare.js";

const relu6 = (x: Tensor) => F.relu6(x);

interface Joined {
  name: string;
  x: number[];
  between: number;
  kernel?: [number, number];
  options?: F.ConvOptions;
  after?: (x: Tensor) => Tensor;
}
const cases: Joined[] = [
  { name: "one run of rows, panels of all sizes", x: [1, 16, 9, 11], between: 72 },
  {
    name: "a batch, stride 2",
    x: [3, 24, 14, 13],
    between: 144,
    options: { stride: 2, padding: 1 },
  },
  {
    name: "5x5, activations",
    x: [1, 40, 13, 13],
    between: 120,
    kernel: [5, 5],
    options: { padding: 2 },
    after: F.hardswish,
  },
  {
    name: "7x7",
    x: [1, 16, 15, 14],
    between: 40,
    kernel: [7, 7],
    options: { padding: 3 },
    after: relu6,
  },
  {
    name: "a dilation for which runs of rows would read too much",
    x: [1, 96, 40, 40],
    between: 48,
    options: { padding: 6, dilation: 6 },
  },
  {
    name: "a row of taps outside, dilation",
    x: [1, 8, 8, 9],
    between: 24,
    options: { padding: [3, 1], dilation: 2 },
  },
  {
    name: "many runs of rows",
    x: [1, 8, 200, 100],
    between: 16,
    options: { padding: 1 },
    after: relu6,
  },
  {
    name: "many runs of rows, stride 2",
    x: [1, 8, 200, 100],
    between: 16,
    options: { stride: 2, padding: 1 },
    after: relu6,
  },
  {
    name: "Strassen's method",
    x: [1, 96, 14, 14],
    between: 576,
    options: { padding: 1 },
    after: relu6,
  },
  {
    name: "Strassen's method, half a panel left",
    x: [1, 160, 7, 7],
    between: 960 - 8,
    kernel: [5, 5],
    options: { padding: 2 },
  },
  {
    name: "an odd number of blocks in each half",
    x: [1, 96, 14, 14],
    between: 240,
    options: { padding: 1 },
  },
  {
    name: "a kernel that reads copies of rows, with the padding at their sides",
    x: [1, 16, 23, 20],
    between: 96,
    kernel: [7, 7],
    options: { stride: 2, padding: 3 },
  },
  {
    name: "the same on an image of one row",
    x: [1, 40, 1, 300],
    between: 56,
    kernel: [1, 3],
    options: { padding: [0, 4], dilation: [1, 4] },
  },
];

/** Which activations make the two run one after the other: those that have a pass of their own, or make something of nothing. */
const apart = [
  { name: "softplus", between: F.softplus, after: F.relu },
  { name: "sigmoid", between: F.relu, after: F.sigmoid },
];

describe.each(nativeIsas().filter(({ available }) => available))("native:$isa", ({ isa }) => {
  const network = (c: Joined, activations = [relu6, c.after ?? F.relu]) => {
    const { x, between, kernel = [3, 3], options } = c;
    const input = Tensor.randn(x, { seed: 1 });
    const shapes = [
      [between, x[1], 1, 1],
      [between],
      [between, 1, ...kernel],
      [8, between, x[2] > 1 ? 2 : 1, 2],
    ];
    const weights = shapes.map((shape, i) => Tensor.randn(shape, { seed: 2 + i }));
    const run = (t: Tensor) => {
      const [wide, bias, deep, halving] = weights;
      const middle = activations[0](F.conv2d(t, wide, { bias }));
      const y = activations[1](
        F.conv2d(middle, deep, { ...(options as F.ConvOptions), groups: between }),
      );
      // Alone, both would run on plain images: an op that prefers blocks comes behind, as it does with more than 12 channels.
      return F.conv2d(y, halving, { stride: 2 });
    };
    return { input, run };
  };
  const results = (run: (t: Tensor) => Tensor, input: Tensor) => {
    const expected = withBackend(referenceBackend, () => run(input));
    const nets = [1, 3].map((threads) => compile(run, input, { backend: "native", isa, threads }));
    const outputs = nets.map((net) => net.runSync({ input }).output);
    const step = nets[0].explain({ input }).steps.find(({ op }) => op === "pointwiseDepthwise");
    for (const net of nets) net.dispose();
    return { expected, outputs, step };
  };

  it.each(cases)("$name", (c) => {
    const { input, run } = network(c);
    const { expected, outputs, step } = results(run, input);
    expect(step?.algorithm).toMatch(/ \+ depthwise$|^strassen, depthwise$/);
    expectClose(outputs[0], expected, { rtol: 1e-4, atol: 1e-4 }, magnitude(expected));
    expect(outputs[1].data).toEqual(outputs[0].data);
  });

  it.each(apart)("one after the other: $name", ({ between, after }) => {
    const { input, run } = network(cases[0], [between, after]);
    const { expected, outputs, step } = results(run, input);
    expect(step?.algorithm).toBe("pointwise, depthwise");
    expect(step?.declined).toBe("an activation in a pass of its own");
    expectClose(outputs[0], expected, { rtol: 1e-4, atol: 1e-4 }, magnitude(expected));
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])("%s stays where it belongs", (value) => {
    for (const c of cases.filter(({ name }) => /Strassen|runs of rows$/.test(name))) {
      const { input, run } = network(c, [F.relu, F.relu]);
      input.data[Math.floor(input.size / 2) + 3] = value;
      const { expected, outputs } = results(run, input);
      const wrong = (expected.data as Float32Array).findIndex(
        (wanted, i) => Number.isFinite(wanted) !== Number.isFinite(outputs[0].data[i]),
      );
      expect(wrong, c.name).toBe(-1);
    }
  });

  it("eager, with weights that change", () => {
    const { input, run } = network(cases[1]);
    const expected = withBackend(referenceBackend, () => run(input));
    expectClose(
      withBackend(native(isa, 1), () => run(input)),
      expected,
      { rtol: 1e-4, atol: 1e-4 },
      magnitude(expected),
    );
  });
});
