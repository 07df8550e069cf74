/**
 * Every gradient against central differences in float64; and in float32 on each instruction set against the same gradient in float64. The list test
 * names an op that has neither a gradient nor a reason.
 */
import { describe, expect, it } from "vitest";
import { withBackend } from "../../src/core/dispatch.js";
import { Tensor } from "../../src/core/tensor.js";
import * as F from "../../src/functional.js";
import { ops } from "../../src/ops/index.js";
import { native, nativeIsas, referenceBackend } from "../support/backends.js";
import { expectClose, magnitude } from "../support/compare.js";
import { cases, type GradientCase } from "./gradientCases.js";

function start(c: GradientCase, dtype: "float64" | "float32"): Tensor[] {
  return c.inputs.map((shape, k) => {
    const t = Tensor.zeros(shape, dtype);
    const random = Tensor.randn(shape, { seed: 7 * k + 1 });
    for (let i = 0; i < t.size; i++) {
      const value = random.data[i] as number;
      // float32 numbers in both, so that the two differ by rounding only.
      t.data[i] = Math.fround(c.fill ? c.fill(i, value) : value);
    }
    return t;
  });
}

/** One number from a result: its elements, weighted at random. */
function weigh(y: Tensor): Tensor {
  const weights = Tensor.zeros(y.shape, y.dtype);
  const random = Tensor.randn(y.shape, { seed: 99 });
  for (let i = 0; i < y.size; i++) weights.data[i] = random.data[i] as number;
  return F.sum(F.mul(y, weights));
}

function gradients(c: GradientCase, dtype: "float64" | "float32"): Tensor[] {
  const inputs = start(c, dtype);
  for (const t of inputs) t.requiresGrad = true;
  weigh(c.run(...inputs)).backward();
  return inputs.map((t) => t.grad as Tensor);
}

describe("against central differences", () => {
  it.each(cases)("$name", (c) => {
    withBackend(referenceBackend, () => {
      const got = gradients(c, "float64");
      const inputs = start(c, "float64");
      const step = 1e-6;
      inputs.forEach((t, k) => {
        expect(got[k].shape).toEqual(t.shape);
        for (let i = 0; i < t.size; i++) {
          const x = t.data[i] as number;
          const at = (value: number): number => {
            t.data[i] = value;
            return weigh(c.run(...inputs)).item();
          };
          const expected = (at(x + step) - at(x - step)) / (2 * step);
          t.data[i] = x;
          const scale = Math.max(1, Math.abs(expected));
          expect(
            Math.abs((got[k].data[i] as number) - expected) / scale,
            `input ${k}, element ${i}`,
          ).toBeLessThan(2e-6);
        }
      });
    });
  });
});

for (const { isa, available } of nativeIsas()) {
  describe.skipIf(!available)(`native ${isa}, float32`, () => {
    it.each(cases)("$name", (c) => {
      const expected = withBackend(referenceBackend, () => gradients(c, "float64"));
      const got = withBackend(native(isa, 2), () => gradients(c, "float32"));
      got.forEach((t, i) => {
        const wanted = Tensor.zeros(t.shape);
        wanted.data.set(expected[i].data as never);
        expectClose(t, wanted, { rtol: 2e-4, atol: 2e-5 }, magnitude(wanted));
      });
    });
  });
}

/** Ops that nothing can be learned through, and why. */
const without: Readonly<Record<string, string>> = {
  whole:
    "hardmax argMax argMin topK equal greater greaterOrEqual less lessOrEqual and or xor not isNaN isInf cast",
  quantised:
    "quantizeLinear dequantizeLinear dynamicQuantizeLinear convInteger qlinearConv matmulInteger qlinearMatmul",
  "of inference, not of training":
    "reorder pointwiseDepthwise maxUnpool2d resize lpPool2d lpPool3d conv3d convTranspose3d",
  "norms other than batch norm":
    "instanceNorm groupNorm layerNorm channelNorm localResponseNorm lpNormalize meanVarianceNorm",
  "rarely learned through": "cumSum reduceProd",
  "gradients themselves":
    "conv2dInputGradient conv2dWeightGradient maxPool2dGradient maxPool3dGradient avgPool2dGradient avgPool3dGradient",
};

it("every op has a gradient that is tried here, or a reason to have none", () => {
  const reasons = Object.values(without).flatMap((names) => names.split(" "));
  const tried = new Set(cases.flatMap((c) => c.ops));
  const wrong = [...ops.values()].filter(({ name, gradient }) =>
    gradient ? !tried.has(name) || reasons.includes(name) : !reasons.includes(name),
  );
  expect(wrong.map(({ name }) => name)).toEqual([]);
});
