/** xcorr/report: one HTML file that shows a network at work on one image: its layers, what they cost, what they see. */
import "../backends/choose.js";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { encode } from "fast-png";
import type { StepProfile } from "../core/backend.js";
import { expected, ShapeError, showShape } from "../core/errors.js";
import { checkOptions } from "../core/options.js";
import { sizeOf } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";
import type { Feeds, Network } from "../network.js";
import { type ReceptiveField, receptiveField } from "../receptive-field/index.js";
import { histogramOf } from "../tensorboard/histogram.js";
import { summary } from "../tensorboard/index.js";
import { toPictures, toPng } from "../tensorboard/picture.js";

export interface ReportOptions {
  /** What is shown as the input: (H, W, 3), uint8, of the input's height and width. */
  readonly shown: Tensor;
  readonly title?: string;
  /** Class names of the first output. */
  readonly labels?: readonly string[];
}

/** Channels shown of one layer, and the most pixels of a map's side: the file stays a few megabytes. */
const CHANNELS = 24;
const SIDE = 56;
const BINS = 40;

/**
 * Runs the network on an image and writes what can be seen as one page, without any address in it.
 *
 * @param feeds  an image (1, C, H, W), and whatever other inputs there are
 * @returns HTML
 * @throws {ShapeError} if no input is one image
 */
export async function report(
  network: Network,
  feeds: Feeds,
  options: ReportOptions,
): Promise<string> {
  checkOptions("report", options, ["shown", "title", "labels"]);
  const image = Object.values(feeds).find(({ rank }) => rank === 4);
  if (image?.shape[0] !== 1)
    throw new ShapeError(
      expected(
        "report",
        "an input that is one image (1, C, H, W)",
        Object.values(feeds)
          .map(({ shape }) => showShape(shape))
          .join(", "),
      ),
    );
  const field = receptiveField(network, { input: feeds });
  const profile = await fastest(network, feeds);
  const weights = new Map(
    summary.convolutions(network, feeds).map(({ output, weight }) => [output, weight]),
  );
  const mapped = profile.steps.filter(isMap).map(({ makes }) => makes[0]);
  const tensors =
    mapped.length > 0 ? await network.run(feeds, { outputs: [...new Set(mapped)] }) : {};
  const [photo] = toPictures("report", options.shown, "HWC");
  const known = new Set(field.layers.map(({ name }) => name));
  const data = {
    title: options.title ?? "network",
    backend: network.backend,
    isa: network.isa,
    photo: { width: photo.width, height: photo.height, png: base64(toPng(photo)) },
    inputs: network.inputs.map(({ name, dtype }) => ({ name, dtype, shape: feeds[name].shape })),
    classes: classesOf(Object.values(profile.outputs)[0], options.labels),
    outputs: Object.entries(profile.outputs).map(([name, t]) => ({
      name,
      shape: t.shape,
      ...range(t),
    })),
    steps: profile.steps.map((step) => describe(step, field, known, weights, tensors)),
  };
  return page(data);
}

/** The run with the least time in all, of a few: others were disturbed. */
async function fastest(network: Network, feeds: Feeds) {
  let best = await network.profile(feeds);
  const total = (p: { steps: readonly StepProfile[] }): number =>
    p.steps.reduce((sum, { ms }) => sum + ms, 0);
  for (let i = 0; i < 4; i++) {
    const next = await network.profile(feeds);
    if (total(next) < total(best)) best = next;
  }
  return best;
}

const isMap = ({ op, outputs: [out] }: StepProfile): boolean =>
  op !== "reorder" &&
  out?.dtype === "float32" &&
  out.shape.length === 4 &&
  out.shape[0] === 1 &&
  sizeOf(out.shape.slice(2)) > 1;

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

function range(t: Tensor): { min: number; max: number; broken: number } {
  let [min, max, broken] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  for (let i = 0; i < t.size; i++) {
    const value = Number(t.data[i]);
    if (!Number.isFinite(value)) broken++;
    else {
      min = Math.min(min, value);
      max = Math.max(max, value);
    }
  }
  return min > max ? { min: 0, max: 0, broken } : { min, max, broken };
}

/** The five largest numbers of an output with as many as there are labels. */
function classesOf(
  scores: Tensor | undefined,
  labels: readonly string[] | undefined,
): { label: string; score: number }[] {
  if (!scores || !labels || scores.size !== labels.length || scores.dtype !== "float32") return [];
  return Array.from(scores.data as Float32Array, (score, i) => ({ score, label: labels[i] }))
    .sort((a, b) => b.score - a.score)
    .slice(0, 5);
}

/** One step of the compiled network, for the page. Several layers of the model may be one step. */
function describe(
  step: StepProfile,
  field: ReceptiveField,
  known: ReadonlySet<string>,
  weights: Map<string, Tensor>,
  tensors: Readonly<Record<string, Tensor>>,
): object {
  const [made] = step.makes;
  const seen = known.has(made) ? field.layer(made) : undefined;
  // The convolution is the first of the layers that were fused: its own result has another name.
  const weight = step.op === "conv2d" ? takeWeight(step, weights) : undefined;
  const plate = weight && summary.kernels(weight);
  return {
    name: made,
    op: step.op,
    shape: step.outputs[0]?.shape ?? [],
    reads: step.reads,
    makes: step.makes,
    parameters: step.parameters,
    macs: step.macs,
    ms: step.ms,
    algorithm: step.algorithm,
    declined: step.declined,
    field:
      seen && seen.axes.length === 2
        ? seen.axes.map(({ size, stride }) => ({ size: finite(size), stride }))
        : undefined,
    kernels: plate && {
      png: base64(toPng(plate.picture)),
      width: plate.picture.width,
      description: plate.description,
    },
    weights: weight && bins(weight),
    maps:
      tensors[made] && isMap(step)
        ? mapsOf(tensors[made], made, field, known.has(made))
        : undefined,
  };
}

const finite = (value: number): number | "whole" => (Number.isFinite(value) ? value : "whole");

/** The step's weight; where layers were fused, the next in the order of the graph that has its shape. Taken out of the list. */
function takeWeight(step: StepProfile, weights: Map<string, Tensor>): Tensor | undefined {
  const shape = step.inputs[1]?.shape.join();
  const [made] = step.makes;
  const name = weights.has(made)
    ? made
    : [...weights.keys()].find((key) => weights.get(key)?.shape.join() === shape);
  if (name === undefined) return undefined;
  const weight = weights.get(name);
  weights.delete(name);
  return weight;
}

function bins(t: Tensor): object | undefined {
  const { broken } = range(t);
  if (broken > 0 || t.size === 0) return { broken };
  const { min, max, limits, counts } = histogramOf("report", t, BINS);
  return { min, max, limits: limits.map((v) => +v.toPrecision(4)), counts };
}

/** Channels of a layer side by side as one grey picture, a byte a number, and what rows and columns of units see. */
function mapsOf(t: Tensor, name: string, field: ReceptiveField, seen: boolean): object {
  const [, channels, height, width] = t.shape;
  const shown = Math.min(channels, CHANNELS);
  const step = Math.max(1, Math.ceil(Math.max(height, width) / SIDE));
  const [rows, columns] = [Math.ceil(height / step), Math.ceil(width / step)];
  const values = t.data as Float32Array;
  const { min, max, broken } = range(t);
  const scale = Math.max(Math.abs(min), Math.abs(max)) || 1;
  const data = new Uint8Array(shown * rows * columns);
  for (let c = 0; c < shown; c++)
    for (let y = 0; y < rows; y++)
      for (let x = 0; x < columns; x++) {
        const value = values[(c * height + y * step) * width + x * step];
        data[(c * rows + y) * columns + x] = Number.isFinite(value)
          ? Math.round(127.5 + (127.5 * value) / scale)
          : 128;
      }
  const boxes = (axis: 0 | 1, count: number): (readonly [number, number] | null)[] =>
    Array.from({ length: count }, (_, i) => {
      const box = seen
        ? field.box(name, axis === 0 ? i * step : 0, axis === 1 ? i * step : 0)
        : undefined;
      return box ? (axis === 0 ? [box.top, box.bottom] : [box.left, box.right]) : null;
    });
  const png = encode({ width: columns, height: shown * rows, channels: 1, depth: 8, data });
  return {
    png: base64(png),
    rows,
    columns,
    step,
    shown,
    channels,
    scale,
    min,
    max,
    broken,
    rowBoxes: boxes(0, rows),
    columnBoxes: boxes(1, columns),
    bins: bins(t),
  };
}

const file = (name: string): string =>
  readFileSync(new URL(`page/${name}`, import.meta.url), "utf8");

const escaped = (text: string): string => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

/** Puts it all in one file. Whatever comes from a model is data, never markup: "<" is not in it. */
function page(data: { title: string }): string {
  const require = createRequire(import.meta.url);
  const plots = require.resolve("uplot/dist/uPlot.iife.min.js");
  const inline = (code: string): string => code.replaceAll("</script", "<\\/script");
  const json = JSON.stringify(data)
    .replace(/</g, "\\u003c")
    .replace(/\u2028|\u2029/g, "");
  const parts: Record<string, string> = {
    TITLE: escaped(data.title),
    STYLE: `${readFileSync(require.resolve("uplot/dist/uPlot.min.css"), "utf8")}\n${file("page.css")}`,
    PLOTS: inline(readFileSync(plots, "utf8")),
    DATA: json,
    SCRIPT: inline(file("page.js")),
  };
  return file("page.html").replace(/\{\{(\w+)\}\}/g, (_, key: string) => parts[key]);
}
