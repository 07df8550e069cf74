/**
 * Real networks with stored inputs and outputs, on every backend, optimised and as they stand.
 *
 * The float EfficientNet is tested where XCORR_EXTRA_MODELS names a folder that has it; the PP-OCR networks come from a dev dependency.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Backend } from "../../src/core/backend.js";
import { Tensor } from "../../src/core/tensor.js";
import { Network } from "../../src/network.js";
import { OnnxModel } from "../../src/onnx/import.js";
import { decodeModel } from "../../src/onnx/messages.js";
import { toTensor } from "../../src/onnx/tensors.js";
import { native, nativeIsas, referenceBackend } from "../support/backends.js";
import { expectClose, magnitude } from "../support/compare.js";
import { readNpy } from "../support/npy.js";
import {
  cases,
  fillHashed,
  folder,
  inputElements,
  isHashed,
  pathOf,
  type StoredCase,
  type StoredTensor,
} from "../support/storedCases.js";

const models = new Map<string, OnnxModel>();

function modelOf(name: string): OnnxModel {
  let model = models.get(name);
  if (!model) {
    const message = decodeModel(readFileSync(pathOf(name) as string));
    if (isHashed(name))
      fillHashed(message, (shape) => Array.from(toTensor(shape, "shape").data, Number));
    model = new OnnxModel(message);
    models.set(name, model);
  }
  return model;
}

const readInput = (stored: StoredTensor): Tensor =>
  new Tensor(inputElements(readNpy(join(folder, stored.file)).data, stored), stored.dims);

async function check(stored: StoredCase, backend: Backend, optimize: boolean): Promise<void> {
  const network = new Network(modelOf(stored.model), { backend, optimize });
  const feeds = Object.fromEntries(
    Object.entries(stored.inputs).map(([name, input]) => [name, readInput(input)]),
  );
  const results = await network.run(feeds);
  for (const [name, output] of Object.entries(stored.outputs)) {
    const expected = readNpy(join(folder, output.file));
    expectClose(results[name], expected, stored, magnitude(expected));
  }
  network.dispose();
}

describe("native", () => {
  for (const { isa, available } of nativeIsas()) {
    for (const optimize of [true, false]) {
      for (const stored of cases) {
        const skip = !available || pathOf(stored.model) === undefined;
        it.skipIf(skip)(
          `${stored.id}, ${isa}, optimize ${optimize}`,
          () => check(stored, native(isa), optimize),
          120_000,
        );
      }
    }
  }
});

describe("reference", () => {
  const seen = new Set<string>();
  for (const stored of cases) {
    const first = !seen.has(stored.model);
    seen.add(stored.model);
    if (!first) continue;
    const missing = pathOf(stored.model) === undefined;
    it.skipIf(missing)(
      `${stored.id}, optimised`,
      () => check(stored, referenceBackend, true),
      240_000,
    );
    it.skipIf(missing)(
      `${stored.id}, as it stands`,
      () => check(stored, referenceBackend, false),
      240_000,
    );
  }
});

describe("PP-OCR detector at other sizes", () => {
  it.each([
    [64, 64],
    [96, 160],
    [160, 96],
  ])(
    "%i x %i: native is the reference",
    async (height, width) => {
      const model = modelOf("ppocr_v4_det.onnx");
      const x = Tensor.randn([1, 3, height, width], { seed: height });
      const [name] = model.outputs.map((o) => o.name);
      const got = await new Network(model, { backend: native() }).run({ x });
      const expected = await new Network(model, { backend: referenceBackend }).run({ x });
      expectClose(got[name], expected[name], { rtol: 1e-3, atol: 1e-4 });
    },
    120_000,
  );
});

it("every operator of a network runs natively", () => {
  for (const stored of cases) {
    if (pathOf(stored.model) === undefined) continue;
    const network = new Network(modelOf(stored.model), { backend: native() });
    const feeds = Object.fromEntries(
      Object.entries(stored.inputs).map(([name, input]) => [name, readInput(input)]),
    );
    const slow = network.explain(feeds).steps.filter(({ algorithm }) => algorithm === "reference");
    expect(
      slow.map(({ name, op, declined }) => `${stored.id}: ${op} at ${name}: ${declined}`),
    ).toEqual([]);
    network.dispose();
  }
});
