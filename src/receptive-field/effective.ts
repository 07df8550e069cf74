/**
 * The effective receptive field: how much each input pixel matters to a unit, by the gradient of the unit with respect to the input, averaged over inputs.
 * It is smaller than the receptive field, and falls off from the middle (Luo et al. 2016, arXiv:1701.04128).
 */
import "../core/autograd.js";
import type { Model } from "../compile.js";
import { dispatch } from "../core/dispatch.js";
import { expected, OptionError, ShapeError, show } from "../core/errors.js";
import { withGradMode } from "../core/gradMode.js";
import { checkOptions, readInt } from "../core/options.js";
import { Tensor } from "../core/tensor.js";
import type { Graph, Value } from "../graph/graph.js";
import type { Network } from "../network.js";
import { feedsFor, networkOf, type ReceptiveFieldOptions } from "./inputs.js";

export interface EffectiveOptions {
  readonly input?: ReceptiveFieldOptions["input"];
  /** Images to average over; default: random ones of the input's shape. */
  readonly images?: readonly Tensor[];
  /** Random images; default 16. */
  readonly samples?: number;
  readonly seed?: number;
  /** The unit's row and column; default: the middle. */
  readonly unit?: readonly [y: number, x: number];
}

export interface EffectiveField {
  /** (H, W): the mean of |d unit / d pixel|, summed over channels; its largest is 1. */
  readonly map: Tensor;
  /** Of the circle around the unit's centre of mass that holds 95 % of the map, in pixels. */
  readonly radius95: number;
}

/**
 * @param layer  the tensor whose unit is looked at: all its channels at that place
 * @throws {OptionError} for an unknown layer; {ShapeError} for a unit outside it; {GradientError} if an op on the way has no gradient
 */
export function effectiveReceptiveField(
  model: Model | Network,
  layer: string,
  options: EffectiveOptions = {},
): EffectiveField {
  checkOptions("effectiveReceptiveField", options, ["input", "images", "samples", "seed", "unit"]);
  const given = options.input ?? options.images?.[0];
  const network = networkOf(model, given);
  const feeds = feedsFor(network, given);
  const graph = network.graph(feeds);
  const value =
    graph.outputs.find(({ name }) => name === layer)?.value ??
    graph.values().get(layer) ??
    graph.aliases.get(layer);
  if (!value)
    throw new OptionError(expected("effectiveReceptiveField", "the name of a layer", show(layer)));
  const image = graph.inputs.find(({ type }) => type.shape.length === 4);
  if (!image)
    throw new ShapeError(
      expected("effectiveReceptiveField", "an image input (N, C, H, W)", "none"),
    );
  const seed = options.seed ?? 1;
  const samples = readInt("effectiveReceptiveField", "samples", options.samples ?? 16, 1);
  const images =
    options.images ??
    Array.from({ length: samples }, (_, i) => Tensor.randn(image.type.shape, { seed: seed + i }));
  const [, channels, height, width] = image.type.shape;
  const map = Tensor.zeros([height, width]);
  for (const picture of images) {
    const inputs = graph.inputs.map((v) => (v === image ? picture.detach() : feeds[v.name]));
    const gradient = unitGradient(graph, value, image, inputs, options.unit);
    for (let i = 0; i < gradient.size; i++) {
      const pixel = i % (height * width);
      if (i < channels * height * width)
        map.data[pixel] = (map.data[pixel] as number) + Math.abs(gradient.data[i] as number);
    }
  }
  const largest = (map.data as Float32Array).reduce((a, b) => Math.max(a, b), 0);
  if (largest > 0)
    for (let i = 0; i < map.size; i++) map.data[i] = (map.data[i] as number) / largest;
  return { map, radius95: radiusHolding(0.95, map) };
}

/** d (sum of the unit's channels) / d image, by running the graph's ops one by one with recording on. */
function unitGradient(
  graph: Graph,
  value: Value,
  image: Value,
  inputs: readonly Tensor[],
  unit: EffectiveOptions["unit"],
): Tensor {
  const [, channels, rows = 1, columns = 1] = value.type.shape;
  const [y, x] = unit ?? [rows >> 1, columns >> 1];
  if (!Number.isInteger(y) || !Number.isInteger(x) || y < 0 || y >= rows || x < 0 || x >= columns)
    throw new ShapeError(
      expected("effectiveReceptiveField", `a unit within ${rows} x ${columns}`, show([y, x])),
    );
  const tensors = new Map<Value, Tensor>(graph.inputs.map((v, i) => [v, inputs[i]]));
  const picture = tensors.get(image) as Tensor;
  picture.requiresGrad = true;
  return withGradMode(true, () => {
    for (const node of graph.nodes) {
      const results = dispatch(
        node.op,
        node.inputs.map((v) => v.constant ?? (tensors.get(v) as Tensor)),
        node.attrs,
      );
      node.outputs.forEach((v, i) => {
        tensors.set(v, results[i]);
      });
      if (node.outputs.includes(value)) break;
    }
    const result = tensors.get(value) as Tensor;
    const pick = Tensor.zeros(result.shape);
    for (let c = 0; c < channels; c++) pick.data[(c * rows + y) * columns + x] = 1;
    result.backward(pick);
    return picture.grad ?? Tensor.zeros(picture.shape);
  });
}

function radiusHolding(part: number, map: Tensor): number {
  const [, width] = map.shape;
  const weights = map.data as Float32Array;
  const total = weights.reduce((a, b) => a + b, 0);
  if (total === 0) return 0;
  let [cy, cx] = [0, 0];
  weights.forEach((w, i) => {
    cy += (w * Math.floor(i / width)) / total;
    cx += (w * (i % width)) / total;
  });
  const byDistance = Array.from(weights, (w, i) => ({
    w,
    d: Math.hypot(Math.floor(i / width) - cy, (i % width) - cx),
  })).sort((a, b) => a.d - b.d);
  let sum = 0;
  for (const { w, d } of byDistance) {
    sum += w;
    if (sum >= part * total) return d;
  }
  return byDistance[byDistance.length - 1].d;
}
