/** What single algorithms of a convolution promise: values that are not finite, bounds of errors, every cut of the work. */
import { describe, expect, it } from "vitest";
import { compile } from "../../src/compile.js";
import { withBackend } from "../../src/core/dispatch.js";
import { Tensor } from "../../src/core/tensor.js";
import * as F from "../../src/functional.js";
import "../../src/backends/choose.js";
import { native, nativeIsas, referenceBackend } from "../support/backends.js";
import { expectClose, magnitude } from "../support/compare.js";
import { integers } from "../support/parity.js";

/** Machines that multiply faster than they bring Strassen's sums leave it to others (native/ops/convStrassen.cpp). */
function leavesStrassen(isa: string): boolean {
  const [x, w] = [Tensor.zeros([1, 512, 28, 28]), Tensor.zeros([256, 512, 1, 1])];
  const net = compile((t) => F.conv2d(t, w), x, { backend: "native", isa });
  const step = net.explain({ input: x }).steps.find(({ op }) => op === "conv2d");
  net.dispose();
  return step?.declined?.includes("strassen: multiply-adds fast enough") ?? false;
}

/** A slope of its own for each channel. */
const sloped = (x: Tensor): Tensor => F.prelu(x, integers([x.shape[1], 1, 1], 4));

for (const { isa, available } of nativeIsas()) {
  describe.runIf(available)(`native:${isa}`, () => {
    it("1x1 of an image of many groups of pixels, by more weights than stay near, gives every pixel its sum", () => {
      const [x, w] = [integers([1, 110, 62, 63], 1), integers([500, 110, 1, 1], 2)];
      const outputs = [1, 3].map((threads) => {
        const net = compile((t) => F.conv2d(t, w), x, { backend: "native", isa, threads });
        const { steps } = net.explain({ input: x });
        expect(steps.map(({ algorithm }) => algorithm)).toContain("pointwisePlanes");
        const { output } = net.runSync({ input: x });
        net.dispose();
        return output;
      });
      const [one, three] = outputs as [Tensor, Tensor];
      expect(three.data).toEqual(one.data);
      const pixels = 62 * 63;
      for (let at = 0; at < one.size; at += 997) {
        const [o, pixel] = [Math.floor(at / pixels), at % pixels];
        let sum = 0;
        for (let c = 0; c < 110; c++)
          sum += (x.data[c * pixels + pixel] as number) * (w.data[o * 110 + c] as number);
        expect(one.data[at]).toBe(sum);
      }
    });

    it.each([1, 2, 3])(
      "an image of %i channels is made by sums along the input channels",
      (outs) => {
        const [x, w] = [integers([1, 64, 40, 41], 1), integers([outs, 64, 3, 3], 2)];
        const run = (t: Tensor) => F.conv2d(t, w, { padding: 1 });
        const outputs = [1, 3].map((threads) => {
          const net = compile((t) => run(F.maxPool2d(t, 1)), x, {
            backend: "native",
            isa,
            threads,
          });
          const { steps } = net.explain({ input: x });
          expect(steps.map(({ algorithm }) => algorithm)).toContain("dots");
          const { output } = net.runSync({ input: x });
          net.dispose();
          return output.data;
        });
        const expected = withBackend(referenceBackend, () => run(x));
        for (const data of outputs) expect(data).toEqual(expected.data);
      },
    );

    it("a value that is not finite, or huge, comes out of Winograd's tiles as from the sums as they stand", () => {
      const everywhere = Array.from({ length: 36 }, (_, at) => at);
      // In every row and every column of a tile of 9 x 9 or 13 x 13 inputs.
      const scattered = Array.from({ length: 24 }, (_, at) => 7 * at);
      for (const [kernel, options, places, [across, side, channels]] of [
        [[3, 3], { padding: 1 }, everywhere, [6, 12, 8]],
        [[5, 5], { padding: 2 }, [0, 7, 14, 35], [6, 12, 8]],
        [[1, 7], { padding: [0, 3] }, [0, 7, 14, 35], [6, 12, 8]],
        [[3, 3], { padding: 2, dilation: 2 }, [0, 7, 14, 35], [6, 20, 8]],
        [[3, 3], { padding: 1, stride: 2 }, [0, 7, 14, 21, 28, 35], [6, 20, 32]],
        [[3, 3], { padding: 1, stride: 2 }, scattered, [9, 32, 32]],
        [[7, 7], { padding: 3, stride: 2 }, scattered, [13, 48, 3]],
      ] as const) {
        // Seven blocks of outputs: several panels, and one that does not fill vectors of 16.
        const w = integers([56, channels, ...kernel], 2);
        for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e38])
          for (const at of places) {
            const x = integers([1, channels, side, side], 1);
            x.data[(Math.floor(at / across) + 2) * side + (at % across) + 3] = value;
            const activation = at % 2 === 0 ? F.relu : sloped;
            const run = (t: Tensor) => activation(F.conv2d(t, w, options as F.ConvOptions));
            const expected = withBackend(referenceBackend, () => run(x));
            const net = compile(run, x, { backend: "native", isa, threads: 1 });
            const { output } = net.runSync({ input: x });
            net.dispose();
            const wanted = expected.data as Float32Array;
            // A huge value may take what is smaller from the sums that it takes part in, but not make them infinite.
            const isNear = (got: number, i: number) =>
              value === 1e38 ? Number.isFinite(got) : Math.abs(got - wanted[i]) < 0.1;
            const wrong = (output.data as Float32Array).findIndex((got, i) =>
              Number.isFinite(wanted[i]) ? !isNear(got, i) : !Object.is(got, wanted[i]),
            );
            expect(wrong, `${kernel}: ${value} at ${at}`).toBe(-1);
          }
      }
    });

    it.each([
      { algorithm: "winograd4", kernel: [3, 3], options: { padding: 1 } },
      { algorithm: "winograd2", kernel: [5, 5], options: { padding: 2 } },
      { algorithm: "winograd4", kernel: [3, 3], options: { padding: 2, dilation: 2 } },
      { algorithm: "winograd2", kernel: [1, 7], options: { padding: [0, 3] } },
      { algorithm: "winograd2", kernel: [3, 3], options: { padding: 1, stride: 2 } },
      { algorithm: "winograd4", kernel: [5, 5], options: { padding: 2, stride: 2 } },
      { algorithm: "winograd4", kernel: [4, 4], options: { padding: 1 } },
      ...(!available || leavesStrassen(isa)
        ? []
        : [
            {
              algorithm: "strassen",
              kernel: [1, 1],
              options: {},
              channels: 512,
              outs: 256,
            } as const,
          ]),
    ] as const)(
      "$algorithm of $kernel stays within its bound, and can be switched off",
      ({ algorithm: name, kernel, options, channels = 64, outs = 32 }) => {
        const [x, w] = [
          Tensor.randn([1, channels, 28, 28], { seed: 1 }),
          Tensor.randn([outs, channels, ...kernel], { seed: 2 }),
        ];
        const convolve = (t: Tensor, weight: Tensor) =>
          F.conv2d(t, weight, options as F.ConvOptions);
        const [wide, weights] = [x, w].map(
          (t) => new Tensor(Float64Array.from(t.data as Float32Array), t.shape),
        );
        const exact = withBackend(referenceBackend, () => convolve(wide, weights));
        const worst = (winograd: "auto" | "off"): number => {
          const net = compile((t) => convolve(t, w), x, { backend: "native", isa, winograd });
          const { output } = net.runSync({ input: x });
          expect(net.explain({ input: x }).steps.some(({ algorithm }) => algorithm === name)).toBe(
            winograd === "auto",
          );
          net.dispose();
          let most = 0;
          for (let i = 0; i < output.size; i++)
            most = Math.max(most, Math.abs((output.data[i] as number) - (exact.data[i] as number)));
          return most;
        };
        // 24 units in the last place of the sum of |w| times the largest |x| of a tile; a third directly.
        const unit =
          2 ** -24 *
          Array.from({ length: outs }, (_, o) =>
            (w.at(o).data as Float32Array).reduce((sum, v) => sum + Math.abs(v), 0),
          ).reduce((a, b) => Math.max(a, b), 0);
        expect(worst("auto")).toBeLessThan(24 * unit);
        expect(worst("off")).toBeLessThan(8 * unit);
      },
    );

    it.each([
      { name: "several blocks", size: [35, 38], outs: 300, threads: 3 },
      { name: "fewer panels than threads", size: [22, 22], outs: 40, threads: 16 },
    ] as const)(
      "Winograd's tiles in blocks that threads share give what the sums as they stand do: $name",
      ({ size: [height, width], outs, threads: many }) => {
        const x = integers([1, 232, height, width], 1);
        x.data[(2 * height + height - 5) * width + 5] = Number.NaN;
        const w = integers([outs, 232, 3, 3], 2);
        const results = (
          [
            ["auto", 1],
            ["auto", many],
            ["off", 1],
          ] as const
        ).map(([winograd, threads]) => {
          const net = compile((t) => F.conv2d(t, w, { padding: 1 }), x, {
            backend: "native",
            isa,
            threads,
            winograd,
          });
          const { steps } = net.explain({ input: x });
          expect(steps.some(({ algorithm }) => algorithm === "winograd4")).toBe(
            winograd === "auto",
          );
          const { output } = net.runSync({ input: x });
          net.dispose();
          return output;
        });
        const [one, shared, directly] = results as [Tensor, Tensor, Tensor];
        expect(shared.data).toEqual(one.data);
        expectClose(one, directly, { rtol: 1e-5, atol: 1e-5 }, magnitude(directly));
      },
    );

    it("work is cut finer for many threads, and gives the same bits", () => {
      for (const [shape, kernel, options] of [
        [[1, 96, 30, 31], [200, 96, 1, 1], {}],
        [[1, 40, 57, 57], [24, 40, 1, 1], { stride: 2 }],
        [[1, 48, 40, 41], [64, 48, 3, 3], { padding: 1, stride: 2 }],
        [[1, 64, 29, 30], [72, 64, 3, 3], { padding: 2, dilation: 2 }],
        [[1, 3, 65, 67], [32, 3, 3, 3], { padding: 1, stride: 2 }],
        [[1, 40, 33, 34], [40, 1, 3, 3], { padding: 1, groups: 40 }],
        [[1, 64, 20, 20], [64, 4, 3, 3], { padding: 1, groups: 16 }],
        [[1, 1, 90, 91], [1, 1, 7, 7], { padding: 3 }],
        [[1, 512, 14, 14], [256, 512, 1, 1], {}],
        [[1, 512, 13, 13], [256, 512, 1, 1], {}],
      ] as const) {
        const [x, w] = [Tensor.randn(shape, { seed: 1 }), Tensor.randn(kernel, { seed: 2 })];
        // Behind a pool, which runs on blocks, as in a network; and alone.
        for (const run of [
          (t: Tensor) => F.conv2d(t, w, options as F.ConvOptions),
          (t: Tensor) =>
            F.relu(
              F.conv2d(F.maxPool2d(t, 3, { stride: 1, padding: 1 }), w, options as F.ConvOptions),
            ),
        ]) {
          const [one, many] = [1, 16].map((threads) => {
            const net = compile(run, x, { backend: "native", isa, threads });
            const { output } = net.runSync({ input: x });
            net.dispose();
            return output.data;
          });
          expect(many, `${shape} by ${kernel}`).toEqual(one);
        }
      }
    });

    it.skipIf(!available || leavesStrassen(isa)).each([
      { name: "odd numbers of pixels and of blocks", shape: [1, 512, 13, 13], outs: 1000 },
      { name: "an odd number of blocks of inputs", shape: [1, 515, 14, 13], outs: 500 },
      { name: "many threads", shape: [1, 512, 14, 14], outs: 256, threads: 16 },
      { name: "stride", shape: [1, 512, 27, 29], outs: 1024, options: { stride: 2 } },
      { name: "batch, few outputs", shape: [2, 1024, 20, 14], outs: 512 },
      { name: "many blocks of pixels", shape: [1, 512, 41, 41], outs: 512 },
    ])(
      "Strassen's sums of integers are exact; what is not finite stays in its pixel: $name",
      ({ shape, outs, options, threads = 1 }) => {
        const [, channels, , width] = shape as [number, number, number, number];
        const x = integers(shape, 1);
        const w = integers([outs, channels, 1, 1], 2);
        const bias = integers([outs], 3);
        const run = (t: Tensor) => F.relu(F.conv2d(t, w, { bias, ...options }));
        const nets = (["auto", "off"] as const).map((winograd) =>
          compile(run, x, { backend: "native", isa, threads, winograd }),
        );
        const [strassen, directly] = nets as [(typeof nets)[0], (typeof nets)[0]];
        const steps = strassen.explain({ input: x }).steps;
        expect(steps.map(({ algorithm }) => algorithm)).toContain("strassen");
        const check = (what: string): void => {
          const [got, wanted] = [strassen, directly].map(
            (net) => net.runSync({ input: x }).output.data as Float32Array,
          ) as [Float32Array, Float32Array];
          // A huge value may take what is smaller from the sums that it takes part in, but not make them infinite.
          const same = (i: number) =>
            (x.data as Float32Array).includes(1e38)
              ? Number.isFinite(got[i]) === Number.isFinite(wanted[i])
              : Object.is(got[i], wanted[i]);
          const wrong = wanted.findIndex((_, i) => !same(i));
          if (wrong >= 0)
            expect.fail(`${what}: output ${wrong}: ${got[wrong]}, not ${wanted[wrong]}`);
        };
        check("finite");
        for (const value of [Number.NaN, Number.NEGATIVE_INFINITY, 1e38])
          for (const at of [0, x.size - 1, x.size / 2 + 2 * width + 4].map(Math.floor)) {
            const before = x.data[at] as number;
            x.data[at] = value;
            check(`${value} at ${at}`);
            x.data[at] = before;
          }
        for (const net of nets) net.dispose();
      },
    );

    it("an algorithm that was found by trying gives the same, and says what the others take", () => {
      const [x, w] = [integers([1, 16, 12, 12], 1), integers([16, 16, 3, 3], 2)];
      const run = (t: Tensor) => F.conv2d(t, w, { padding: 1 });
      const net = compile(run, x, { backend: "native", isa, threads: 1, tune: true });
      const expected = withBackend(referenceBackend, () => run(x));
      expectClose(
        net.runSync({ input: x }).output,
        expected,
        { rtol: 1e-5, atol: 1e-5 },
        magnitude(expected),
      );
      const step = [...net.explain({ input: x })].find(({ op }) => op === "conv2d");
      expect(step?.declined).toMatch(/takes \d+ % of the time|expected to take more than twice/);
      net.dispose();
    });

    it("what is not finite in one group leaves the others their slopes", () => {
      const w = integers([48, 6, 3, 3], 2);
      const run = (t: Tensor) => sloped(F.conv2d(F.maxPool2d(t, 1), w, { padding: 1, groups: 4 }));
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
        for (const channel of [0, 7, 13, 23]) {
          const x = integers([1, 24, 6, 7], 1);
          x.data[channel * 42 + 10] = value;
          const net = compile(run, x, { backend: "native", isa, threads: 1, winograd: "off" });
          const { steps } = net.explain({ input: x });
          expect(steps.map(({ algorithm }) => algorithm)).toContain("grouped");
          const expected = withBackend(referenceBackend, () => run(x));
          expectClose(net.runSync({ input: x }).output, expected, { rtol: 0, atol: 0 });
          net.dispose();
        }
    });

    it("a NaN in a window comes out, and only there", () => {
      const x = integers([1, 8, 6, 6], 1);
      x.data[14] = Number.NaN;
      const w = integers([8, 8, 3, 3], 2);
      for (const run of [
        () => F.relu(F.conv2d(x, w, { padding: 1 })),
        () => F.maxPool2d(x, 2),
        () => F.maxPool2d(x, 3, { stride: 2, padding: 1 }),
        () => F.maxPool2d(x, 5, { stride: 1, padding: 2 }),
        () => F.maxPool2d(x, 6, { stride: 1, padding: 2 }),
      ]) {
        expectClose(withBackend(native(isa, 1), run), withBackend(referenceBackend, run), {
          rtol: 0,
          atol: 0,
        });
      }
    });
  });
}
