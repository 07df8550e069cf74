/** xcorr/image: pictures to tensors. Decoding is `sharp`'s (an optional peer), the rest is here. */
import { AddonError, expected, OptionError, ShapeError, show } from "../core/errors.js";
import { checkOptions } from "../core/options.js";
import { Tensor } from "../core/tensor.js";

/** A picture as it is decoded: 8 bits per channel, (height, width, channels), row-major. */
export interface Pixels {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

export interface ToTensorOptions {
  /** [height, width] of the result; default: the picture's. */
  readonly size?: readonly [number, number];
  /** Side of the centre square that is kept, as a fraction of the picture's shorter side; default: the whole picture. */
  readonly crop?: number;
  /** Taken off each channel; default 0. */
  readonly mean?: readonly number[];
  /** What each channel is divided by; default 1. */
  readonly std?: readonly number[];
}

/** Keys' cubic kernel with a = -0.5, as Pillow's bicubic filter. */
function cubic(d: number): number {
  const x = Math.abs(d);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/** Places and weights of one axis: `out` samples of the window that begins at `begin` and is `length` long. */
function weights(
  size: number,
  begin: number,
  length: number,
  out: number,
): { first: number; taps: number[] }[] {
  const scale = length / out;
  // Shrinking widens the filter, so that every input pixel counts (as Pillow does).
  const stretch = Math.max(scale, 1);
  return Array.from({ length: out }, (_, o) => {
    const centre = begin + (o + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - 2 * stretch + 0.5));
    const last = Math.min(size, Math.floor(centre + 2 * stretch + 0.5));
    const taps = Array.from({ length: last - first }, (_, i) =>
      cubic((first + i + 0.5 - centre) / stretch),
    );
    const sum = taps.reduce((a, b) => a + b, 0);
    return { first, taps: taps.map((t) => t / sum) };
  });
}

const toByte = (v: number): number => Math.min(255, Math.max(0, Math.round(v)));

/**
 * A picture as the input of a network: cropped to its centre, resized (bicubic, antialiased), normalised, (1, C, H, W).
 *
 *   y = (pixel - mean) / std, pixel in 0 .. 255
 *
 * @throws {ShapeError} if the picture's data do not fit its size
 * @throws {OptionError} for an option that is misspelt or out of range
 */
export function toTensor(pixels: Pixels, options: ToTensorOptions = {}): Tensor {
  checkOptions("toTensor", options, ["size", "crop", "mean", "std"]);
  const { data, width, height, channels } = pixels;
  if (!(width > 0 && height > 0 && channels > 0) || data.length !== width * height * channels) {
    throw new ShapeError(
      expected("toTensor", `${width} x ${height} x ${channels} bytes`, `${data.length}`),
    );
  }
  const { crop, mean, std } = options;
  if (crop !== undefined && !(crop > 0 && crop <= 1))
    throw new OptionError(expected("toTensor", 'a fraction in (0, 1] for "crop"', show(crop)));
  for (const [name, list] of Object.entries({ mean, std })) {
    if (list && (list.length !== channels || list.some((v) => !Number.isFinite(v)))) {
      throw new OptionError(expected("toTensor", `${channels} numbers for "${name}"`, show(list)));
    }
  }
  const side = crop === undefined ? undefined : Math.min(width, height) * crop;
  const [cropHeight, cropWidth] = side === undefined ? [height, width] : [side, side];
  const [outHeight, outWidth] = options.size ?? [Math.round(cropHeight), Math.round(cropWidth)];
  if (![outHeight, outWidth].every((n) => Number.isInteger(n) && n > 0)) {
    throw new OptionError(expected("toTensor", 'positive integers for "size"', show(options.size)));
  }
  const columns = weights(width, (width - cropWidth) / 2, cropWidth, outWidth);
  const rows = weights(height, (height - cropHeight) / 2, cropHeight, outHeight);
  // Rows first become narrower, then columns shorter; bytes in between, as in Pillow.
  const narrow = new Uint8Array(height * outWidth * channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < outWidth; x++) {
      const { first, taps } = columns[x];
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let i = 0; i < taps.length; i++)
          sum += taps[i] * data[(y * width + first + i) * channels + c];
        narrow[(y * outWidth + x) * channels + c] = toByte(sum);
      }
    }
  }
  const result = Tensor.zeros([1, channels, outHeight, outWidth]);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < outHeight; y++) {
      const { first, taps } = rows[y];
      for (let x = 0; x < outWidth; x++) {
        let sum = 0;
        for (let i = 0; i < taps.length; i++)
          sum += taps[i] * narrow[((first + i) * outWidth + x) * channels + c];
        result.data[(c * outHeight + y) * outWidth + x] =
          (toByte(sum) - (mean?.[c] ?? 0)) / (std?.[c] ?? 1);
      }
    }
  }
  return result;
}

/**
 * Decodes a JPEG, PNG, WebP, ... file or its bytes to RGB pixels, turned as its orientation says.
 *
 * @throws {AddonError} if `sharp` is not installed
 */
export async function decode(image: string | Uint8Array): Promise<Pixels> {
  let sharp: typeof import("sharp").default;
  try {
    sharp = (await import("sharp")).default;
  } catch (error) {
    throw new AddonError("decode: expected the package sharp, got none; npm install sharp", {
      cause: error,
    });
  }
  const { data, info } = await sharp(image)
    .rotate()
    .removeAlpha()
    .toColourspace("srgb")
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height, channels: info.channels };
}
