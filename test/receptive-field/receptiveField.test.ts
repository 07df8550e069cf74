/**
 * Receptive fields: the published table of google-research/receptive_field, networks small enough to check by hand, and random networks against the pixels that
 * the gradient reaches.
 */
import { describe, expect, it } from "vitest";
import * as F from "../../src/functional.js";
import * as nn from "../../src/nn/index.js";
import "../../src/backends/choose.js";
import { dispatch, withBackend } from "../../src/core/dispatch.js";
import { Tensor } from "../../src/core/tensor.js";
import type { Graph } from "../../src/graph/graph.js";
import { Network } from "../../src/network.js";
import { effectiveReceptiveField, receptiveField } from "../../src/receptive-field/index.js";
import { referenceBackend } from "../support/backends.js";
import { randomGraph } from "../support/randomGraph.js";

/** Padding in front as TensorFlow's "SAME" has it: of an odd number in all, the larger half goes to the end. */
const same = (size: number, kernel: number, stride: number): [number, number] => {
  const all = Math.max((Math.ceil(size / stride) - 1) * stride + kernel - size, 0);
  return [all >> 1, all - (all >> 1)];
};
const sides = (
  x: Tensor,
  [kh, kw]: readonly [number, number],
  stride: number,
  padding: "same" | "valid" | "half",
): number[] => {
  if (padding === "valid") return [0, 0, 0, 0];
  if (padding === "half") return [kh >> 1, kw >> 1, kh >> 1, kw >> 1];
  const [rows, columns] = [same(x.shape[2], kh, stride), same(x.shape[3], kw, stride)];
  return [rows[0], columns[0], rows[1], columns[1]];
};
/** A convolution of one channel. */
const conv = (
  x: Tensor,
  kernel: number | readonly [number, number],
  stride = 1,
  padding: "same" | "valid" | "half" = "same",
): Tensor => {
  const sizes = typeof kernel === "number" ? ([kernel, kernel] as const) : kernel;
  return F.conv2d(x, Tensor.ones([1, 1, ...sizes]), {
    stride,
    padding: sides(x, sizes, stride, padding),
  });
};
const pool = (
  x: Tensor,
  kernel: number,
  stride: number,
  padding: "same" | "valid" = "same",
): Tensor =>
  F.maxPool2d(x, kernel, { stride, padding: sides(x, [kernel, kernel], stride, padding) });
const join = (...parts: Tensor[]): Tensor => parts.reduce((a, b) => F.add(a, b));

function vgg16(x: Tensor): Tensor {
  let y = x;
  for (const depth of [2, 2, 3, 3, 3]) {
    for (let i = 0; i < depth; i++) y = conv(y, 3);
    y = pool(y, 2, 2, "valid");
  }
  return y;
}

/** As in TF-Slim: the stride of a block is that of its last unit. */
function resnet(x: Tensor, units: readonly number[]): Tensor {
  let y = pool(conv(x, 7, 2, "half"), 3, 2);
  units.forEach((count, block) => {
    for (let i = 0; i < count; i++) {
      const stride = i === count - 1 && block < 3 ? 2 : 1;
      y = F.add(conv(y, 1, stride), conv(conv(conv(y, 1), 3, stride, "half"), 1));
    }
  });
  return y;
}

function mobilenet(x: Tensor): Tensor {
  let y = conv(x, 3, 2);
  for (const stride of [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]) y = conv(conv(y, 3, stride), 1);
  return y;
}

const mixed = (x: Tensor): Tensor =>
  join(conv(x, 1), conv(conv(x, 1), 3), conv(conv(conv(x, 1), 3), 3), conv(pool(x, 3, 1), 1));
const shrink = (x: Tensor): Tensor =>
  join(conv(conv(x, 1), 3, 2), conv(conv(conv(x, 1), 3), 3, 2), pool(x, 3, 2));

function inceptionV2(x: Tensor): Tensor {
  let y = pool(conv(conv(pool(conv(x, 7, 2), 3, 2), 1), 3), 3, 2);
  y = shrink(mixed(mixed(y)));
  for (let i = 0; i < 4; i++) y = mixed(y);
  return mixed(mixed(shrink(y)));
}

function inceptionV3(x: Tensor): Tensor {
  let y = pool(conv(conv(conv(x, 3, 2, "valid"), 3, 1, "valid"), 3), 3, 2, "valid");
  y = pool(conv(conv(y, 1), 3, 1, "valid"), 3, 2, "valid");
  for (let i = 0; i < 3; i++)
    y = join(conv(y, 1), conv(conv(y, 1), 5), conv(conv(conv(y, 1), 3), 3), conv(pool(y, 3, 1), 1));
  y = join(
    conv(y, 3, 2, "valid"),
    conv(conv(conv(y, 1), 3), 3, 2, "valid"),
    pool(y, 3, 2, "valid"),
  );
  for (let i = 0; i < 4; i++) {
    const two = conv(conv(conv(y, 1), [1, 7]), [7, 1]);
    const four = conv(conv(conv(conv(conv(y, 1), [7, 1]), [1, 7]), [7, 1]), [1, 7]);
    y = join(conv(y, 1), two, four, conv(pool(y, 3, 1), 1));
  }
  y = join(
    conv(conv(y, 1), 3, 2, "valid"),
    conv(conv(conv(conv(y, 1), [1, 7]), [7, 1]), 3, 2, "valid"),
    pool(y, 3, 2, "valid"),
  );
  for (let i = 0; i < 2; i++) {
    const split = (t: Tensor) => join(conv(t, [1, 3]), conv(t, [3, 1]));
    y = join(conv(y, 1), split(conv(y, 1)), split(conv(conv(y, 1), 3)), conv(pool(y, 3, 1), 1));
  }
  return y;
}

describe("google-research/receptive_field's table: size, stride, padding", () => {
  it.each([
    ["VGG-16", vgg16, [212, 32, 90]],
    ["ResNet-50 v1", (x: Tensor) => resnet(x, [3, 4, 6, 3]), [483, 32, 239]],
    ["ResNet-101 v1", (x: Tensor) => resnet(x, [3, 4, 23, 3]), [1027, 32, 511]],
    ["ResNet-152 v1", (x: Tensor) => resnet(x, [3, 8, 36, 3]), [1507, 32, 751]],
    ["MobileNet v1", mobilenet, [315, 32, 126]],
    ["Inception v2", inceptionV2, [699, 32, 318]],
    ["Inception v3", inceptionV3, [1311, 32, 618]],
  ] as const)("%s", (name, model, expected) => {
    const size = name === "Inception v3" ? 299 : 224;
    const field = receptiveField(model, { input: [1, 1, size, size] });
    const { size: pixels, stride, padding } = field.layers[field.layers.length - 1].axes[0];
    expect([pixels, stride, padding]).toEqual(expected);
    expect(field.layers.at(-1)?.axes[1]).toEqual(field.layers.at(-1)?.axes[0]);
  });
});

it("by hand: two 3x3 layers, the second with stride 2, see 5x5", () => {
  const net = new nn.Sequential(
    new nn.Conv2d(1, 1, 3, { padding: 1 }),
    new nn.Conv2d(1, 1, 3, { stride: 2, padding: 1 }),
  );
  const field = receptiveField(net, { input: [1, 1, 8, 10] });
  expect(field.layers.map(({ axes }) => axes[0])).toEqual([
    { size: 3, minSize: 3, stride: 1, padding: 1, offset: 0 },
    { size: 5, minSize: 5, stride: 2, padding: 2, offset: 0 },
  ]);
  expect(field.box("output", 0, 0)).toEqual({ top: 0, left: 0, bottom: 2, right: 2 });
  expect(field.box("output", 1, 2)).toEqual({ top: 0, left: 2, bottom: 4, right: 6 });
  expect(field.unitsSeeing("output", 0, 0)).toEqual({ top: 0, left: 0, bottom: 1, right: 1 });
  expect(field.unitsSeeing("output", 7, 9)).toEqual({ top: 3, left: 4, bottom: 3, right: 4 });
});

it("transposed convolution and resize have strides below 1", () => {
  const up = receptiveField(
    (x: Tensor) => F.convTranspose2d(x, Tensor.ones([1, 1, 4, 4]), { stride: 2, padding: 1 }),
    { input: [1, 1, 6, 6] },
  );
  expect(up.layers[0].axes[0]).toMatchObject({ size: 2, stride: 0.5 });
  const resized = receptiveField((x: Tensor) => conv(F.interpolate(x, { scaleFactor: 2 }), 3), {
    input: [1, 1, 6, 6],
  });
  expect(resized.layers[1].axes[0]).toMatchObject({ size: 2, stride: 0.5 });
});

it("ways of different length: the largest and the smallest; middles that differ are reported", () => {
  const field = receptiveField((x: Tensor) => F.add(conv(conv(x, 3), 5), conv(x, 1)), {
    input: [1, 1, 9, 9],
  });
  expect(field.layers.at(-1)).toMatchObject({
    misaligned: false,
    axes: [
      { size: 7, minSize: 1 },
      { size: 7, minSize: 1 },
    ],
  });
  const shifted = (x: Tensor) =>
    F.add(F.conv2d(x, Tensor.ones([1, 1, 2, 2]), { padding: [0, 0, 1, 1] }), conv(x, 3));
  expect(receptiveField(shifted, { input: [1, 1, 9, 9] }).layers.at(-1)?.misaligned).toBe(true);
});

it("layers that see the whole image already are unproductive; what has no places sees everything", () => {
  const net = (x: Tensor) => F.flatten(F.globalAvgPool(conv(conv(conv(x, 5), 5), 3)), 1);
  const field = receptiveField(net, { input: [1, 1, 8, 8] });
  expect(field.unproductive()).toEqual([field.layers[2].name, field.layers[3].name]);
  expect(field.box("output")).toEqual({ top: 0, left: 0, bottom: 7, right: 7 });
});

it("says what is wrong", () => {
  const net = new nn.Conv2d(1, 1, 3);
  expect(() => receptiveField(net)).toThrow(
    "receptiveField: expected the shape of the model's input, got undefined",
  );
  const field = receptiveField(net, { input: [1, 1, 5, 5] });
  expect(() => field.box("output", 3, 0)).toThrow(
    'expected a unit of "output" from 0 to 2 along y, got 3',
  );
  expect(() => field.box("outptu")).toThrow('did you mean "output"?');
  expect(() => field.unitsSeeing("output", 0, 9)).toThrow("along x, got 9");
  expect(() => receptiveField((x: Tensor) => F.relu(x), { input: [3, 4] })).toThrow(
    "expected an image input (N, C, H, W)",
  );
  expect(field.toString()).toContain("conv2d");
});

/** Pixels of the first input that outputs at (y, x) change with: where gradients are, of positive numbers so that nothing cancels. */
function support(graph: Graph, y: number, x: number): { rows: Set<number>; columns: Set<number> } {
  const [input] = graph.inputs;
  const picture = Tensor.rand(input.type.shape, { seed: 3 });
  for (let i = 0; i < picture.size; i++) picture.data[i] = 1 + (picture.data[i] as number);
  picture.requiresGrad = true;
  const tensors = new Map<unknown, Tensor>([[input, picture]]);
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((v) =>
      v.constant ? absolute(v.constant) : (tensors.get(v) as Tensor),
    );
    const results = dispatch(node.op, inputs, node.attrs);
    for (const [i, v] of node.outputs.entries()) tensors.set(v, results[i]);
  }
  const result = tensors.get(graph.outputs[0].value) as Tensor;
  const [, channels, height, width] = result.shape;
  const pick = Tensor.zeros(result.shape);
  for (let c = 0; c < channels; c++) pick.data[(c * height + y) * width + x] = 1;
  result.backward(pick);
  const [rows, columns] = [new Set<number>(), new Set<number>()];
  const [, , h, w] = picture.shape;
  (picture.grad?.data as Float32Array | undefined)?.forEach((g, i) => {
    if (g === 0) return;
    rows.add(Math.floor(i / w) % h);
    columns.add(i % w);
  });
  return { rows, columns };
}

const absolute = (t: Tensor): Tensor => {
  const result = t.clone();
  for (let i = 0; i < t.size; i++) result.data[i] = Math.abs(t.data[i] as number) + 0.01;
  return result;
};

it("on random networks the box is the support of the gradient", () => {
  let compared = 0;
  withBackend(referenceBackend, () => {
    for (let seed = 1; compared < 60; seed++) {
      const graph = randomGraph(seed, 7);
      const names = graph.nodes.map(({ op }) => op.name);
      // Maxima and saturated activations choose among what they see; then the gradient is smaller than the field. Of an image that was flattened
      // places are not followed. Norms but batch norm and a resize have no gradient.
      if (
        names.some((name) =>
          /maxPool|clip|tanh|sigmoid|hard|silu|gelu|sub|div|softplus|reshape|(instance|group|response)Norm|resize/i.test(
            name,
          ),
        )
      )
        continue;
      const [{ value }] = graph.outputs;
      if (graph.nodes.length > 7 || value.type.shape.length !== 4) continue;
      const [input] = graph.inputs;
      const source = {
        inputs: [{ name: input.name, ...input.type }],
        outputs: [],
        build: () => ({ graph, baked: [] }),
      };
      const field = receptiveField(new Network(source, { backend: referenceBackend }));
      const [, , height, width] = value.type.shape;
      for (const [y, x] of [
        [0, 0],
        [height - 1, width - 1],
        [height >> 1, width >> 1],
      ]) {
        const { rows, columns } = support(graph, y, x);
        const box = field.box(graph.outputs[0].name, y, x);
        const got =
          rows.size === 0
            ? undefined
            : {
                top: Math.min(...rows),
                left: Math.min(...columns),
                bottom: Math.max(...rows),
                right: Math.max(...columns),
              };
        expect(box, `seed ${seed}, unit ${y}, ${x}: ${names.join(", ")}`).toEqual(got);
      }
      compared++;
    }
  });
}, 120_000);

it("the effective field lies within the field and is largest in its middle", () => {
  const net = new nn.Sequential(
    ...Array.from(
      { length: 4 },
      (_, i) => new nn.Conv2d(1, 1, 3, { padding: 1, seed: i, bias: false }),
    ),
  );
  const { map, radius95 } = effectiveReceptiveField(net, "output", {
    input: [1, 1, 21, 21],
    samples: 2,
  });
  const at = (y: number, x: number) => map.data[y * 21 + x] as number;
  for (let y = 0; y < 21; y++)
    for (let x = 0; x < 21; x++)
      if (Math.abs(y - 10) > 4 || Math.abs(x - 10) > 4) expect(at(y, x)).toBe(0);
  expect(Math.max(...(map.data as Float32Array))).toBe(1);
  expect(radius95).toBeGreaterThan(0.5);
  expect(radius95).toBeLessThan(6);
});
