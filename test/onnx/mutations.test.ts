/**
 * Damaged models: 200 seeded mutations of each small model (cut short, bits flipped, runs of bytes overwritten) are loaded and run. Each gives a
 * typed error or a result, in bounded time and memory.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { XcorrError } from "../../src/core/errors.js";
import { sizeOf } from "../../src/core/shape.js";
import { randomSource, Tensor } from "../../src/core/tensor.js";
import { Network } from "../../src/network.js";
import { OnnxModel } from "../../src/onnx/import.js";
import { native } from "../support/backends.js";
import { onnxCases } from "../support/onnxCases.js";

const file = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../data/models/${name}.onnx`, import.meta.url)));
const wanted = [
  "node/test_basic_conv_with_padding",
  "node/test_maxpool_2d_ceil_output_size_reduce_by_one",
  "node/test_reshape_zero_and_negative_dim",
  "node/test_resize_upsample_scales_linear",
  "pytorch-converted/test_Conv2d_groups",
  "node/test_slice",
];
const models: [string, Uint8Array][] = [
  ...["lenet5_mnist", "blazeface_front", "light_squeezenet"].map((name): [string, Uint8Array] => [
    name,
    file(name),
  ]),
  ...onnxCases()
    .filter(({ name }) => wanted.includes(name))
    .map(({ name, model }): [string, Uint8Array] => [name, new Uint8Array(model)]),
];

function mutate(bytes: Uint8Array, next: () => number): Uint8Array {
  const pick = (n: number) => Math.floor(next() * n);
  const kind = pick(3);
  if (kind === 0) return bytes.slice(0, pick(bytes.length));
  const copy = bytes.slice();
  if (kind === 1) for (let k = 1 + pick(8); k > 0; k--) copy[pick(copy.length)] ^= 1 << pick(8);
  else copy.fill(pick(256), pick(copy.length), pick(copy.length) + pick(16));
  // Half of the damage goes where the structure is: the beginning of the file.
  if (next() < 0.5) copy[pick(Math.min(400, copy.length))] = pick(256);
  return copy;
}

/** Loads and runs; "ran", or the error's class. */
function attempt(bytes: Uint8Array): string {
  try {
    const network = new Network(new OnnxModel(bytes), { backend: native(undefined, 1) });
    const feeds = Object.fromEntries(
      network.inputs.map(({ name, dtype, shape }) => {
        const sizes = shape.map((n) => (typeof n === "number" ? n : 1));
        // A damaged model may ask for an input that nobody would give.
        if (sizeOf(sizes) > 2 ** 22) throw new XcorrError("TEST", "too large to feed");
        return [name, Tensor.zeros(sizes, dtype)];
      }),
    );
    network.runSync(feeds);
    network.dispose();
    return "ran";
  } catch (error) {
    if (error instanceof XcorrError) return error.name;
    throw error;
  }
}

describe.each(models)("%s", (_name, bytes) => {
  it("200 mutations: a typed error or a result", () => {
    const next = randomSource(7);
    const seen = new Map<string, number>();
    const memory = process.memoryUsage().rss;
    for (let k = 0; k < 200; k++) {
      const before = performance.now();
      const outcome = attempt(mutate(bytes, next));
      expect(performance.now() - before).toBeLessThan(10_000);
      seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    }
    expect(process.memoryUsage().rss - memory).toBeLessThan(1.5e9);
    expect([...seen.keys()].some((outcome) => outcome !== "ran")).toBe(true);
  }, 240_000);
});
