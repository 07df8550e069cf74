/**
 * ONNX's own backend tests, on the reference and on every instruction set, optimised and as they stand. Every `core` case passes; the `extra`
 * cases that do not are listed in expectedFailures.ts with the error that says so.
 */
import { describe, expect, it } from "vitest";
import type { Backend } from "../../src/core/backend.js";
import { Network } from "../../src/network.js";
import { OnnxModel } from "../../src/onnx/import.js";
import { native, nativeIsas, referenceBackend } from "../support/backends.js";
import { expectClose } from "../support/compare.js";
import { type OnnxCase, onnxCases } from "../support/onnxCases.js";
import { expectedFailures } from "./expectedFailures.js";

function run({ model, sets }: OnnxCase, backend: Backend, optimize: boolean): void {
  const network = new Network(new OnnxModel(model), { backend, optimize });
  for (const { inputs, outputs } of sets) {
    const feeds = Object.fromEntries(network.inputs.map(({ name }, i) => [name, inputs[i]]));
    const results = network.runSync(feeds);
    network.outputs.forEach(({ name }, i) => {
      // Quantised results may differ by one step.
      const integers = outputs[i].dtype === "uint8" || outputs[i].dtype === "int8";
      expectClose(
        results[name],
        outputs[i],
        integers ? { rtol: 0, atol: 1 } : { rtol: 1e-3, atol: 1e-5 },
      );
    });
  }
  network.dispose();
}

const cases = onnxCases();
const isas = nativeIsas();
const configurations: {
  name: string;
  available: boolean;
  backend: () => Backend;
  optimize: boolean;
}[] = [true, false].flatMap((optimize) => [
  { name: "reference", available: true, backend: () => referenceBackend, optimize },
  ...isas.map(({ isa, available }) => ({
    name: `native:${isa}`,
    available,
    backend: () => native(isa, 1),
    optimize,
  })),
]);

describe.each(configurations)("$name, optimize $optimize", ({ available, backend, optimize }) => {
  const pass = cases.filter(({ name }) => !expectedFailures.has(name));
  it.runIf(available).each(pass.map((c) => [c.name, c] as const))("%s", (_name, c) =>
    run(c, backend(), optimize),
  );
});

it("has every listed case, and all 269 core ones pass", () => {
  expect(cases.length).toBe(436);
  expect(cases.filter(({ tier }) => tier === "core").length).toBe(269);
  expect(cases.filter(({ name, tier }) => tier === "core" && expectedFailures.has(name))).toEqual(
    [],
  );
});

describe("cases that cannot run say why", () => {
  it.each([...expectedFailures])("%s", (name, message) => {
    const c = cases.find((one) => one.name === name);
    expect(c).toBeDefined();
    expect(() => run(c as OnnxCase, referenceBackend, true)).toThrow(message);
  });
});
