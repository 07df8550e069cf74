/** xcorr run: a model on .npy files. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { OptionError, type Tensor } from "xcorr";
import { load } from "xcorr/onnx";
import { formatNpy, parseNpy } from "../npy.js";

export interface RunCommandOptions {
  readonly input: string[];
  readonly output?: string;
  readonly json?: boolean;
  readonly backend?: "native" | "reference";
  readonly isa?: string;
}

/** name=file.npy -> tensor, by name. */
async function readFeeds(pairs: readonly string[]): Promise<Record<string, Tensor>> {
  const feeds: Record<string, Tensor> = {};
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    if (at < 1) throw new OptionError(`run: expected --input name=file.npy, got "${pair}"`);
    feeds[pair.slice(0, at)] = parseNpy(await readFile(pair.slice(at + 1)));
  }
  return feeds;
}

function describe(tensor: Tensor): {
  dtype: string;
  shape: readonly number[];
  min: number;
  max: number;
  mean: number;
} {
  let [min, max, sum] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  for (const value of tensor.data) {
    const v = Number(value);
    min = Math.min(min, v);
    max = Math.max(max, v);
    sum += v;
  }
  return { dtype: tensor.dtype, shape: tensor.shape, min, max, mean: sum / tensor.size };
}

export async function run(model: string, options: RunCommandOptions): Promise<void> {
  using net = await load(model, { backend: options.backend, isa: options.isa });
  const feeds = await readFeeds(options.input);
  const before = performance.now();
  const results = await net.run(feeds);
  const ms = performance.now() - before;
  if (options.output) {
    await mkdir(options.output, { recursive: true });
    for (const [name, tensor] of Object.entries(results)) {
      await writeFile(
        join(options.output, `${name.replace(/[^\w.-]/g, "_")}.npy`),
        formatNpy(tensor),
      );
    }
  }
  const outputs = Object.fromEntries(
    Object.entries(results).map(([name, tensor]) => [name, describe(tensor)]),
  );
  if (options.json) {
    console.log(JSON.stringify({ model, backend: net.backend, isa: net.isa, ms, outputs }));
    return;
  }
  console.log(
    `${model}: ${ms.toFixed(1)} ms with the plan's making, ${net.backend} backend, instruction set ${net.isa}`,
  );
  for (const [name, o] of Object.entries(outputs)) {
    console.log(
      `  ${name}: ${o.dtype} (${o.shape.join(", ")}), min ${o.min.toPrecision(4)}, max ${o.max.toPrecision(4)}, mean ${o.mean.toPrecision(4)}`,
    );
  }
  if (options.output) console.log(`written to ${options.output}`);
}
