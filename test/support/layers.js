// Single layers of well-known networks (test/data/layers.json): what parity is checked on at full size, and what the benchmarks time. Plain
// JavaScript for the same reason as storedCases.js; so the library comes as an argument.
import { readFileSync } from "node:fs";

export const layers = JSON.parse(
  readFileSync(new URL("../data/layers.json", import.meta.url), "utf8"),
);

/**
 * A layer with weights, scaled so that outputs are of the size of inputs: { input, run, part, channels }. `part` gives only the output channels
 * listed: what the reference can afford of a dense layer.
 */
export function makeLayer({ op, input, weight, kernel, options }, { Tensor, functional: F }) {
  const x = Tensor.randn(input, { seed: 1 });
  if (!weight) {
    const run = (t) => (kernel ? F[op](t, kernel, options) : F[op](t));
    return { input: x, run, part: run, channels: Array.from({ length: input[1] }, (_, i) => i) };
  }
  const size = weight.slice(1).reduce((a, b) => a * b);
  const w = Tensor.randn(weight, { seed: 2 });
  for (let i = 0; i < w.size; i++) w.data[i] /= Math.sqrt(size);
  const bias = Tensor.randn([weight[0]], { seed: 3 });
  const all = Array.from({ length: weight[0] }, (_, i) => i);
  const dense = (options?.groups ?? 1) === 1;
  const channels = dense
    ? all.filter((o) => o < 2 || o === weight[0] >> 1 || o === all.at(-1))
    : all;
  const rows = (t, length) =>
    Float32Array.from(channels.flatMap((o) => [...t.data.subarray(o * length, (o + 1) * length)]));
  const partW = new Tensor(rows(w, size), [channels.length, ...weight.slice(1)]);
  const partBias = new Tensor(rows(bias, 1), [channels.length]);
  return {
    input: x,
    run: (t) => F[op](t, w, { ...options, bias }),
    part: (t) => F[op](t, partW, { ...options, bias: partBias }),
    channels,
  };
}

/** Of a result (1, channels, height, width) the channels listed, one after the other. */
export function pickChannels(elements, total, channels) {
  const plane = elements.length / total;
  const picked = new Float32Array(channels.length * plane);
  channels.forEach((c, i) => {
    picked.set(elements.subarray(c * plane, (c + 1) * plane), i * plane);
  });
  return picked;
}
