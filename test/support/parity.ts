/** Cases of awkward shapes: every instruction set against the reference, eager and compiled, for 1 and 3 threads. */
import { describe, expect, it } from "vitest";
import { compile } from "../../src/compile.js";
import { withBackend } from "../../src/core/dispatch.js";
import { Tensor } from "../../src/core/tensor.js";
import * as F from "../../src/functional.js";
import "../../src/backends/choose.js";
import { native, nativeIsas, referenceBackend } from "./backends.js";
import { expectClose, magnitude } from "./compare.js";

/** Small integers: float sums of them are exact, so all backends must agree to the bit. */
export function integers(shape: readonly number[], seed: number): Tensor {
  const t = Tensor.rand(shape, { seed });
  for (let i = 0; i < t.size; i++) t.data[i] = Math.floor((t.data[i] as number) * 9) - 4;
  return t;
}

export interface Case {
  readonly name: string;
  readonly inputs: readonly (readonly number[])[];
  readonly run: (...t: Tensor[]) => Tensor;
  /** The result is a sum of products of integers: to the bit, where no transform changes the rounding. */
  readonly exact: boolean;
  /** Errors are relative to the largest result: a transform mixes neighbours. */
  readonly mixes?: boolean;
  /** What the inputs hold instead: numbers that are not finite, other dtypes. */
  readonly fill?: (shape: readonly number[], input: number) => Tensor;
  /** No step may run by its definition. */
  readonly allNative?: boolean;
}

export const conv = (x: number[], w: number[], options: F.ConvOptions): Case => ({
  name: `conv2d (${x}) by (${w}) ${JSON.stringify(options)}`,
  inputs: [x, w, [w[0]]],
  run: (a, b, bias) => F.conv2d(a, b, { ...options, bias }),
  exact: true,
});

/** Tests of all cases. */
export function testParity(cases: readonly Case[]): void {
  for (const { isa, available } of nativeIsas()) {
    describe.runIf(available)(`native:${isa}`, () => {
      it.each(cases)("$name", ({ inputs, run, exact, mixes, fill: own, allNative }) => {
        const close = { rtol: 1e-4, atol: 1e-4 };
        const fills = [
          [
            (s: readonly number[], i: number) => integers(s, i + 1),
            exact ? { rtol: 0, atol: 0 } : { rtol: 1e-5, atol: 1e-5 },
          ],
          [(s: readonly number[], i: number) => Tensor.randn(s, { seed: i + 1 }), close],
        ] as const;
        for (const [fill, tolerance] of own ? ([[own, close]] as const) : fills) {
          const tensors = inputs.map(fill);
          const expected = withBackend(referenceBackend, () => run(...tensors));
          const scale = mixes ? magnitude(expected) : 1;
          // At once, small images may go by Winograd's transforms.
          expectClose(
            withBackend(native(isa, 1), () => run(...tensors)),
            expected,
            exact ? { rtol: 1e-5, atol: 1e-5 } : tolerance,
            exact ? magnitude(expected) : scale,
          );
          for (const optimize of [true, false]) {
            const [x, ...weights] = tensors;
            const [one, three] = [1, 3].map((threads) =>
              compile((t) => run(t, ...weights), x, {
                backend: "native",
                isa,
                threads,
                optimize,
                winograd: exact ? "off" : "auto",
              }),
            );
            if (allNative) {
              const { steps } = one.explain({ input: x });
              expect(
                steps.flatMap(({ op, algorithm, declined }) =>
                  algorithm === "reference" ? `${op}: ${declined}` : [],
                ),
              ).toEqual([]);
            }
            const { output } = one.runSync({ input: x });
            expectClose(output, expected, tolerance, scale);
            // Bit for bit, whatever the number of threads.
            expect(three.runSync({ input: x }).output.data).toEqual(output.data);
          }
        }
      });
    });
  }
}
