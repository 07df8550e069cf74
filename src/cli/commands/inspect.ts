/** xcorr inspect: how a model runs, step by step. */
import { writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { OptionError, Tensor } from "xcorr";
import { load, type Network } from "xcorr/onnx";
import { report } from "xcorr/report";
import { type PhotoOptions, readLabels, readPhoto } from "../photo.js";
import { withProgress } from "../progress.js";

export interface InspectOptions extends PhotoOptions {
  readonly html?: string;
  readonly labels?: string;
  readonly shape: string[];
  readonly json?: boolean;
  readonly raw?: boolean;
}

/** Zeros for each input; free sizes as given by --shape name=1x3x224x224, else 1 for the first axis and 224 for the others. */
function zeroFeeds(net: Network, shapes: readonly string[]): Record<string, Tensor> {
  const given = new Map(
    shapes.map((text) => {
      const [name, sizes] = [
        text.slice(0, text.lastIndexOf("=")),
        text.slice(text.lastIndexOf("=") + 1),
      ];
      if (!name || !/^\d+(x\d+)*$/.test(sizes))
        throw new OptionError(`inspect: expected --shape name=1x3x224x224, got "${text}"`);
      return [name, sizes.split("x").map(Number)];
    }),
  );
  return Object.fromEntries(
    net.inputs.map(({ name, dtype, shape }) => {
      const sizes =
        given.get(name) ??
        shape.map((n, axis) => (typeof n === "number" ? n : axis === 0 ? 1 : axis === 1 ? 3 : 224));
      return [name, Tensor.zeros(sizes, dtype)];
    }),
  );
}

/** Writes the page about the network and one photo. */
async function inspectPhoto(
  net: Network,
  model: string,
  image: string,
  options: InspectOptions,
): Promise<void> {
  if (!options.html)
    throw new OptionError("inspect: expected --html report.html with a photo, got none");
  const photo = await readPhoto(net, image, options);
  const labels = await readLabels(options.labels);
  const page = await withProgress("looking", () =>
    report(net, photo.feeds, { shown: photo.shown, title: basename(model), labels }),
  );
  await writeFile(options.html, page);
  const size = (page.length / 2 ** 20).toFixed(1);
  if (options.json)
    console.log(JSON.stringify({ model, image, html: options.html, bytes: page.length }));
  else console.log(`wrote ${options.html} (${size} MiB): open it in a browser`);
}

export async function inspect(
  model: string,
  image: string | undefined,
  options: InspectOptions,
): Promise<void> {
  using net = await load(model, { optimize: !options.raw, prepare: false });
  if (image !== undefined) return await inspectPhoto(net, model, image, options);
  if (options.html)
    throw new OptionError(
      "inspect: expected a photo with --html: xcorr inspect model.onnx photo.jpg --html report.html",
    );
  const explanation = net.explain(zeroFeeds(net, options.shape));
  const macs = explanation.steps.reduce((sum, step) => sum + step.macs, 0);
  if (options.json) {
    console.log(
      JSON.stringify({
        model,
        inputs: net.inputs,
        outputs: net.outputs,
        macs,
        arenaBytes: explanation.arenaBytes,
        steps: explanation.steps,
      }),
    );
    return;
  }
  const show = (list: Network["inputs"]) =>
    list.map(({ name, dtype, shape }) => `${name}: ${dtype} (${shape.join(", ")})`).join("; ");
  console.log(`${model}\ninputs   ${show(net.inputs)}\noutputs  ${show(net.outputs)}\n`);
  console.log(explanation.toString());
  console.log(
    `\n${explanation.steps.length} steps, ${(macs / 1e6).toFixed(1)} million multiply-adds, ${(explanation.arenaBytes / 2 ** 20).toFixed(1)} MiB of intermediate results`,
  );
}
