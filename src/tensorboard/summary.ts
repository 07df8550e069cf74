/** Pictures of what a network is made of and what it sees: kernels, feature maps, the input with its receptive-field boxes. */
import { expected, ShapeError, showShape } from "../core/errors.js";
import { sizeOf } from "../core/shape.js";
import { Tensor } from "../core/tensor.js";
import { foldConstants } from "../graph/passes/foldConstants.js";
import type { Feeds, Network } from "../network.js";
import { enlarge, grid, type Picture, signedPicture } from "./picture.js";

/** A picture and what its colours mean. */
export interface Plate {
  readonly picture: Picture;
  readonly description: string;
}

/** Planes shown of one tensor; the rest is named in the description. */
const MOST = 64;
/** Grids are enlarged to about this many pixels across, so that a 3x3 kernel can be seen. */
const ACROSS = 480;

const largest = (values: ArrayLike<number>): number => {
  let most = 0;
  for (let i = 0; i < values.length; i++)
    if (Math.abs(values[i]) > most && Number.isFinite(values[i])) most = Math.abs(values[i]);
  return most;
};

/** What 99 of 100 numbers do not exceed: one that sticks out would leave the others pale. */
function usual(values: Float32Array): number {
  const step = Math.max(1, Math.floor(values.length / 20000));
  const sample: number[] = [];
  for (let i = 0; i < values.length; i += step)
    if (Number.isFinite(values[i])) sample.push(Math.abs(values[i]));
  sample.sort((a, b) => a - b);
  return sample[Math.floor(sample.length * 0.99)] || largest(values);
}

const short = (value: number): string => String(+value.toPrecision(3));

/** A grid, its cells enlarged by a whole factor to fill about ACROSS pixels. */
function enlargedGrid(cells: readonly Picture[]): Picture {
  const columns = Math.ceil(Math.sqrt(cells.length));
  const factor = Math.max(
    1,
    Math.floor(ACROSS / columns / Math.max(cells[0].width, cells[0].height)),
  );
  return grid(
    cells.map((cell) => enlarge(cell, factor)),
    { columns, gap: 2 },
  );
}

/**
 * The kernels of a layer, one cell per output channel: in colour where there are three inputs, else one cell per kernel and input, blue below zero, red
 * above, white at it.
 *
 * @param layer  a layer with a weight, or the weight (Cout, Cin, Kh, Kw)
 */
export function kernels(layer: { readonly weight: Tensor } | Tensor): Plate {
  const weight = layer instanceof Tensor ? layer : layer.weight;
  if (!(weight instanceof Tensor) || weight.rank !== 4)
    throw new ShapeError(
      expected(
        "summary.kernels",
        "a weight (Cout, Cin, Kh, Kw)",
        weight instanceof Tensor ? showShape(weight.shape) : "none",
      ),
    );
  const [cout, cin, kh, kw] = weight.shape;
  const values = weight.data as Float32Array;
  const scale = largest(values);
  const plane = kh * kw;
  if (cin === 3) {
    const cells = Array.from({ length: Math.min(cout, MOST) }, (_, o) => {
      const own = largest(values.subarray(o * 3 * plane, (o + 1) * 3 * plane));
      const data = new Uint8Array(plane * 3);
      for (let i = 0; i < plane; i++)
        for (let c = 0; c < 3; c++)
          data[i * 3 + c] = Math.round(
            127.5 + (127.5 * values[(o * 3 + c) * plane + i]) / (own || 1),
          );
      return { height: kh, width: kw, channels: 3, data };
    });
    return {
      picture: enlargedGrid(cells),
      description: `${cells.length} of ${cout} kernels, ${kh}x${kw}, their three inputs as red, green and blue. Grey is 0; each kernel is as bright as its largest weight allows, the largest of all being ${short(scale)}.`,
    };
  }
  const planes = cout * cin;
  const cells = Array.from({ length: Math.min(planes, MOST) }, (_, i) =>
    signedPicture(values.subarray(i * plane, (i + 1) * plane), kh, kw, scale),
  );
  return {
    picture: enlargedGrid(cells),
    description: `${cells.length} of ${planes} planes of ${cout} kernels, ${kh}x${kw}. White is 0, red ${short(scale)}, blue ${short(-scale)}.`,
  };
}

/** The maps of one layer's result (N, C, H, W) for the first image: one cell per channel, blue below zero, red above. */
export function maps(result: Tensor): Plate {
  if (result.rank !== 4 || result.size === 0)
    throw new ShapeError(
      expected("summary.featureMaps", "feature maps (N, C, H, W)", showShape(result.shape)),
    );
  const [, channels, height, width] = result.shape;
  const values = (result.data as Float32Array).subarray(0, channels * height * width);
  const scale = usual(values);
  const plane = height * width;
  const cells = Array.from({ length: Math.min(channels, MOST) }, (_, c) =>
    signedPicture(values.subarray(c * plane, (c + 1) * plane), height, width, scale),
  );
  return {
    picture: enlargedGrid(cells),
    description: `${cells.length} of ${channels} feature maps, ${height}x${width}. White is 0, red ${short(scale)} and more, blue ${short(-scale)} and less.`,
  };
}

/**
 * The feature maps of layers for one input.
 *
 * @param image   the network's first input, or feeds for all
 * @param layers  names of tensors; default: the results of convolutions that are at least 2x2
 * @returns the tensors by name, with a plate each
 */
export async function featureMaps(
  network: Network,
  image: Tensor | Feeds,
  layers?: readonly string[],
): Promise<Record<string, { readonly tensor: Tensor; readonly plate: Plate }>> {
  const feeds: Feeds =
    image instanceof Tensor ? { [network.inputs[0].name]: image } : (image as Feeds);
  const wanted = layers ?? convolutions(network, feeds).map(({ output }) => output);
  const results = wanted.length > 0 ? await network.run(feeds, { outputs: wanted }) : {};
  return Object.fromEntries(
    Object.entries(results).map(([name, tensor]) => [name, { tensor, plate: maps(tensor) }]),
  );
}

/** Layers of a graph that have a kernel larger than a pixel, or more than one: their result's name and their weight. */
export function convolutions(
  network: Network,
  feeds: Feeds,
): { readonly output: string; readonly weight: Tensor }[] {
  const graph = network.graph(feeds);
  foldConstants.apply(graph); // weights may be stored as int8 and a scale
  return graph.nodes.flatMap(({ inputs, outputs }) => {
    const weight = inputs.find((v) => v.constant && v.type.shape.length === 4)?.constant;
    const [result] = outputs;
    const isMap = result.type.shape.length === 4 && sizeOf(result.type.shape.slice(2)) > 3;
    return weight && isMap && weight.dtype === "float32" && result.type.dtype === "float32"
      ? [{ output: result.name, weight }]
      : [];
  });
}
