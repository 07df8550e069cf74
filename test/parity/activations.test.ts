/** Activations far from zero, at the values beyond all numbers, and near to zero. */
import { expect, it } from "vitest";
import { withBackend } from "../../src/core/dispatch.js";
import { Tensor } from "../../src/core/tensor.js";
import { native, nativeIsas, referenceBackend } from "../support/backends.js";
import { expectClose } from "../support/compare.js";
import { op } from "../support/opCases.js";

const activations: Record<string, object> = {
  sigmoid: {},
  silu: { alpha: 1.5 },
  tanh: {},
  elu: { alpha: 0.7 },
  mish: {},
  gelu: { approximate: "none" },
  erf: {},
  hardSwish: {},
  hardSigmoid: { alpha: 0.2, beta: 0.5 },
};
for (const { isa, available } of nativeIsas()) {
  it.runIf(available).each(Object.entries(activations))(
    `native:${isa} %s from far below zero to far above, and beyond`,
    (name, attrs) => {
      const beyond = [
        Number.NaN,
        Number.POSITIVE_INFINITY,
        Number.NEGATIVE_INFINITY,
        0,
        1e30,
        -1e30,
      ];
      const numbers = Array.from({ length: 4001 }, (_, i) => (i - 2000) / 20);
      const near = Array.from({ length: 801 }, (_, i) => (i - 400) / 100);
      const x = Tensor.from([...beyond, ...numbers, ...near], "float32");
      const [got, expected] = [native(isa, 1), referenceBackend].map((backend) =>
        withBackend(backend, () => op(name, attrs)(x)),
      );
      expectClose(got, expected, { rtol: 2e-6, atol: 5e-7 });
      expect(got.size).toBe(x.size);
    },
  );
}
