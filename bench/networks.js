// Times the networks of this repository: every instruction set of the machine, one thread and all, and the pure TypeScript reference.
// Rounds are interleaved, so that a machine whose speed drifts slows all alike. Usage: npm run bench [-- model.onnx ...]
import { availableParallelism, cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { backend, Tensor } from "xcorr";
import { load } from "xcorr/onnx";

const here = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const models =
  process.argv.length > 2
    ? process.argv.slice(2)
    : [
        here("models/efficientnet_lite0_int8w.onnx"),
        here("test/data/models/blazeface_front.onnx"),
        here("test/data/models/lenet5_mnist.onnx"),
      ];
const ROUNDS = 15;
const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];

console.log(`${cpus()[0].model}, ${availableParallelism()} CPUs, Node ${process.version}`);
for (const model of models) {
  const contenders = [];
  for (const name of backend.available()) {
    const isa = name.startsWith("native:") ? name.slice(7) : undefined;
    for (const threads of isa ? [1, availableParallelism()] : [1]) {
      const net = await load(
        model,
        isa ? { backend: "native", isa, threads } : { backend: "reference" },
      );
      const feeds = Object.fromEntries(
        net.inputs.map((i) => [
          i.name,
          Tensor.randn(
            i.shape.map((n) => (typeof n === "number" ? n : 1)),
            { seed: 1 },
          ),
        ]),
      );
      if (isa) await net.run(feeds);
      contenders.push({
        name: isa ? `${name}, ${threads} thread${threads > 1 ? "s" : ""}` : name,
        net,
        feeds,
        times: [],
      });
    }
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const { name, net, feeds, times } of contenders) {
      if (name === "reference" && round > 0) continue;
      const before = performance.now();
      await net.run(feeds);
      times.push(performance.now() - before);
    }
  }
  console.log(`\n${model}`);
  const reference = median(contenders.at(-1).times);
  for (const { name, net, times } of contenders) {
    const ms = median(times);
    console.log(
      `  ${name.padEnd(28)} ${ms.toFixed(2).padStart(9)} ms  ${(reference / ms).toFixed(1).padStart(7)} times the reference`,
    );
    net.dispose();
  }
}
