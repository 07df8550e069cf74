/** xcorr classify: what is on a picture, with the network that comes with the package or another. */
import { readFile } from "node:fs/promises";
import type { Tensor } from "xcorr";
import { decode, toTensor } from "xcorr/image";
import { load, type Network } from "xcorr/onnx";
import { packaged } from "../photo.js";
import { withProgress } from "../progress.js";

export interface ClassifyOptions {
  readonly model?: string;
  readonly labels?: string;
  readonly top: string;
  readonly json?: boolean;
  readonly backend?: "native" | "reference";
  readonly isa?: string;
  readonly threads?: string;
  readonly compare: boolean;
}

/** Median time of some runs, after one to warm up. */
async function timeRuns(
  net: Network,
  feeds: Record<string, Tensor>,
  runs: number,
): Promise<number> {
  await net.run(feeds);
  const times: number[] = [];
  for (let i = 0; i < runs; i++) {
    const before = performance.now();
    await net.run(feeds);
    times.push(performance.now() - before);
  }
  return times.sort((a, b) => a - b)[runs >> 1];
}

/** The same network on the plain loops: one run. */
async function timeReference(model: string, feeds: Record<string, Tensor>): Promise<number> {
  using net = await load(model, { backend: "reference" });
  net.explain(feeds);
  const before = performance.now();
  await net.run(feeds);
  return performance.now() - before;
}

export async function classify(image: string | undefined, options: ClassifyOptions): Promise<void> {
  const photo = image ?? packaged("photos/coffee.png");
  const model = options.model ?? packaged("models/efficientnet_lite0_int8w.onnx");
  const labels: string[] = JSON.parse(
    await readFile(options.labels ?? packaged("models/imagenet_labels.json"), "utf8"),
  );
  const threads = options.threads === undefined ? undefined : Number(options.threads);
  using net = await load(model, { backend: options.backend, isa: options.isa, threads });
  const [info] = net.inputs;
  const [height, width] = info.shape.slice(2).map((n) => (typeof n === "number" ? n : 224));
  const x = toTensor(await decode(photo), {
    size: [height, width],
    crop: 224 / 256,
    mean: [127, 127, 127],
    std: [128, 128, 128],
  });
  const feeds = { [info.name]: x };
  const [output] = Object.values(await net.run(feeds));
  const best = Array.from(output.data as Float32Array, (probability, index) => ({
    label: labels[index] ?? `class ${index}`,
    probability,
  }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, Number(options.top));
  const ms = await timeRuns(net, feeds, net.backend === "native" ? 20 : 1);
  const compares = options.compare && net.backend === "native";
  const referenceMs = compares
    ? await withProgress("the same network in plain TypeScript", () => timeReference(model, feeds))
    : undefined;
  if (options.json) {
    console.log(
      JSON.stringify({
        image: photo,
        model,
        backend: net.backend,
        isa: net.isa,
        ms,
        referenceMs,
        classes: best,
      }),
    );
    return;
  }
  console.log(`${photo}\n`);
  for (const { label, probability } of best) console.log(`  ${probability.toFixed(4)}  ${label}`);
  console.log(
    `\n${net.backend} backend, instruction set ${net.isa}: ${ms.toFixed(2)} ms per inference (median)`,
  );
  if (referenceMs !== undefined) {
    console.log(
      `pure TypeScript reference: ${referenceMs.toFixed(0)} ms; native is ${(referenceMs / ms).toFixed(0)} times as fast`,
    );
  }
}
