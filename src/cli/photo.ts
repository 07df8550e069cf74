/** A photo as a network's input, for the commands that look at pictures. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { OptionError, Tensor } from "xcorr";
import { decode, toTensor } from "xcorr/image";
import type { Network } from "xcorr/onnx";

export interface PhotoOptions {
  readonly size?: string;
  readonly mean?: string;
  readonly std?: string;
}

export interface Photo {
  /** The photo as the network takes it. */
  readonly input: Tensor;
  /** The same pixels to look at: (H, W, 3), uint8. */
  readonly shown: Tensor;
  readonly feeds: Record<string, Tensor>;
}

/** "127" or "123,117,104": one number per channel. */
function perChannel(name: string, text: string, channels: number): number[] {
  const list = text.split(",").map(Number);
  if (list.length !== 1 && list.length !== channels)
    throw new OptionError(`--${name}: expected 1 or ${channels} numbers, got "${text}"`);
  return list.length === 1 ? new Array<number>(channels).fill(list[0]) : list;
}

/**
 * Reads a photo for the network's image input: the first with four axes. Sizes that the model leaves open come from --size 224x224 (default).
 *
 * @throws {OptionError} if the network takes no image of 1 or 3 channels
 */
export async function readPhoto(net: Network, file: string, options: PhotoOptions): Promise<Photo> {
  const info = net.inputs.find(({ shape, dtype }) => shape.length === 4 && dtype === "float32");
  const channels = info && (typeof info.shape[1] === "number" ? info.shape[1] : 3);
  if (!info || (channels !== 1 && channels !== 3) || net.inputs.length !== 1) {
    const have = net.inputs
      .map(({ name, dtype, shape }) => `${name}: ${dtype} (${shape.join(", ")})`)
      .join("; ");
    throw new OptionError(
      `expected a model whose only input is an image, float32 (N, 1 or 3, H, W), got ${have}`,
    );
  }
  const given = /^(\d+)x(\d+)$/.exec(options.size ?? "224x224");
  if (!given)
    throw new OptionError(`--size: expected height x width as 224x224, got "${options.size}"`);
  const size = [2, 3].map((axis) =>
    typeof info.shape[axis] === "number" ? (info.shape[axis] as number) : Number(given[axis - 1]),
  ) as [number, number];
  const pixels = await decode(file);
  const plain = toTensor(pixels, { size }); // (1, 3, H, W), 0 .. 255
  const [mean, std] = [
    perChannel("mean", options.mean ?? "127", channels),
    perChannel("std", options.std ?? "128", channels),
  ];
  const [height, width] = size;
  const plane = height * width;
  const input = Tensor.zeros([1, channels, height, width]);
  const shown = Tensor.zeros([height, width, 3], "uint8");
  for (let i = 0; i < plane; i++) {
    const rgb = [0, 1, 2].map((c) =>
      Math.min(255, Math.max(0, Math.round(plain.data[c * plane + i] as number))),
    );
    const grey = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
    for (let c = 0; c < 3; c++) shown.data[i * 3 + c] = channels === 1 ? Math.round(grey) : rgb[c];
    for (let c = 0; c < channels; c++)
      input.data[c * plane + i] =
        ((channels === 1 ? grey : (plain.data[c * plane + i] as number)) - mean[c]) / std[c];
  }
  return { input, shown, feeds: { [info.name]: input } };
}

/** A file that comes with the package. */
export const packaged = (path: string): string =>
  fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** Class names from a JSON file; without one the thousand of ImageNet, for networks that have as many. */
export async function readLabels(file?: string): Promise<string[]> {
  return JSON.parse(
    await readFile(file ?? packaged("models/imagenet_labels.json"), "utf8"),
  ) as string[];
}
