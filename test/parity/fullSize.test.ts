/** The layers that the benchmarks time. */
import { describe, expect, it } from "vitest";
import { compile } from "../../src/compile.js";
import { withBackend } from "../../src/core/dispatch.js";
import { Tensor } from "../../src/core/tensor.js";
import * as F from "../../src/functional.js";
import "../../src/backends/choose.js";
import { nativeIsas, referenceBackend } from "../support/backends.js";
import { expectClose, magnitude } from "../support/compare.js";
import { layers, makeLayer, pickChannels } from "../support/layers.js";

describe("layers of well-known networks at full size", () => {
  it.each(layers)("$name", (layer) => {
    const { input, run, part, channels } = makeLayer(layer, { Tensor, functional: F });
    const expected = withBackend(referenceBackend, () => part(input));
    for (const { isa } of nativeIsas().filter(({ available }) => available)) {
      const results = [1, 3].map((threads) => {
        const net = compile(run, input, { backend: "native", isa, threads });
        const { output } = net.runSync({ input });
        net.dispose();
        return output;
      });
      // As bytes: toEqual takes seconds on so many numbers.
      const [one, three] = results.map(({ data }) => new Uint8Array(data.buffer));
      expect(Buffer.compare(one, three)).toBe(0);
      const picked = pickChannels(results[0].data, results[0].shape[1], channels);
      expectClose(
        new Tensor(picked, expected.shape),
        expected,
        { rtol: 1e-4, atol: 1e-5 },
        magnitude(expected),
      );
    }
  });
});
