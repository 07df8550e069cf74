/** Pictures as bytes: tensors to 8-bit pixels, PNG, grids, boxes, the colour map for signed numbers. */
import { encode } from "fast-png";
import { expected, OptionError, ShapeError, show, showShape, TensorError } from "../core/errors.js";
import { readNumber, type Tensor } from "../core/tensor.js";

/** 8-bit pixels, row by row, channels together: 1 (grey), 3 (RGB) or 4 (RGBA). */
export interface Picture {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly data: Uint8Array;
}

export const toPng = ({ width, height, channels, data }: Picture): Uint8Array =>
  encode({ width, height, channels, depth: 8, data });

export type Dataformats = "CHW" | "HWC" | "HW" | "NCHW" | "NHWC";

/**
 * Pixels of a tensor: floats from 0 to 1 (beyond is cut off), uint8 as they are. A batch gives one picture each.
 *
 * @throws {ShapeError} if the axes do not fit the format, or channels are not 1, 3 or 4; {TensorError} for NaN, infinity or another dtype
 */
export function toPictures(where: string, tensor: Tensor, format: Dataformats): Picture[] {
  if (tensor.rank !== format.length)
    throw new ShapeError(
      expected(where, `an image (${[...format].join(", ")})`, showShape(tensor.shape)),
    );
  if (tensor.dtype !== "float32" && tensor.dtype !== "float64" && tensor.dtype !== "uint8")
    throw new TensorError(
      expected(where, "an image of float32 from 0 to 1, or uint8", tensor.dtype),
    );
  const size = (axis: string): number =>
    format.includes(axis) ? tensor.shape[format.indexOf(axis)] : 1;
  const [count, channels, height, width] = [..."NCHW"].map(size);
  if (![1, 3, 4].includes(channels))
    throw new ShapeError(
      expected(where, "1, 3 or 4 channels", `${channels} in ${showShape(tensor.shape)}, ${format}`),
    );
  if (tensor.size === 0)
    throw new ShapeError(expected(where, "an image with pixels", showShape(tensor.shape)));
  const stride = (axis: string): number => {
    const at = format.indexOf(axis);
    return at < 0 ? 0 : tensor.shape.slice(at + 1).reduce((a, b) => a * b, 1);
  };
  const [sn, sc, sh, sw] = [..."NCHW"].map(stride);
  return Array.from({ length: count }, (_, n) => {
    const data = new Uint8Array(height * width * channels);
    let next = 0;
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        for (let c = 0; c < channels; c++) {
          const value = readNumber(tensor, n * sn + c * sc + y * sh + x * sw);
          if (!Number.isFinite(value))
            throw new TensorError(
              expected(where, "finite numbers", `${value} at row ${y}, column ${x}`),
            );
          data[next++] =
            tensor.dtype === "uint8" ? value : Math.round(Math.min(1, Math.max(0, value)) * 255);
        }
    return { height, width, channels, data };
  });
}

/** Pictures of one size side by side in a nearly square grid, with lines between. */
export function grid(
  pictures: readonly Picture[],
  { columns = Math.ceil(Math.sqrt(pictures.length)), gap = 2, background = 128 } = {},
): Picture {
  const [{ height, width, channels }] = pictures;
  const rows = Math.ceil(pictures.length / columns);
  const whole = {
    height: rows * (height + gap) + gap,
    width: columns * (width + gap) + gap,
    channels,
  };
  const data = new Uint8Array(whole.height * whole.width * channels).fill(background);
  pictures.forEach((picture, i) => {
    const top = gap + Math.floor(i / columns) * (height + gap);
    const left = gap + (i % columns) * (width + gap);
    for (let y = 0; y < height; y++)
      data.set(
        picture.data.subarray(y * width * channels, (y + 1) * width * channels),
        ((top + y) * whole.width + left) * channels,
      );
  });
  return { ...whole, data };
}

/** Each pixel `factor` times as high and wide. */
export function enlarge({ height, width, channels, data }: Picture, factor: number): Picture {
  const result = new Uint8Array(data.length * factor * factor);
  const row = width * factor * channels;
  for (let y = 0; y < height * factor; y++)
    for (let x = 0; x < width * factor; x++) {
      const from = (Math.floor(y / factor) * width + Math.floor(x / factor)) * channels;
      for (let c = 0; c < channels; c++) result[y * row + x * channels + c] = data[from + c];
    }
  return { height: height * factor, width: width * factor, channels, data: result };
}

/** A colour for a number from -1 to 1: blue below zero, white at it, red above. */
export function diverging(value: number): readonly [number, number, number] {
  const v = Math.min(1, Math.max(-1, value));
  const fade = (end: number): number => Math.round(255 + (end - 255) * Math.abs(v));
  return v < 0 ? [fade(33), fade(102), fade(172)] : [fade(178), fade(24), fade(43)];
}

/** A plane of numbers in the diverging colours, `scale` being full red and minus scale full blue. */
export function signedPicture(
  values: ArrayLike<number>,
  height: number,
  width: number,
  scale: number,
): Picture {
  const data = new Uint8Array(height * width * 3);
  for (let i = 0; i < height * width; i++)
    data.set(diverging(scale > 0 ? values[i] / scale : 0), i * 3);
  return { height, width, channels: 3, data };
}

/** Draws the outlines of boxes [left, top, right, bottom], in pixels, inclusive; what lies outside is cut off. */
export function drawBoxes(
  picture: Picture,
  boxes: readonly (readonly number[])[],
  thickness = 2,
): Picture {
  const { height, width } = picture;
  const data = new Uint8Array(height * width * 3);
  for (let i = 0; i < height * width; i++)
    for (let c = 0; c < 3; c++)
      data[i * 3 + c] = picture.data[i * picture.channels + (picture.channels < 3 ? 0 : c)];
  const colours = [
    [255, 59, 48],
    [0, 160, 255],
    [255, 204, 0],
    [52, 199, 89],
  ];
  boxes.forEach((box, k) => {
    if (box.length !== 4 || !box.every(Number.isFinite))
      throw new OptionError(expected("boxes", "[left, top, right, bottom]", show(box)));
    const [left, top, right, bottom] = box.map(Math.round);
    for (let y = Math.max(0, top); y <= Math.min(height - 1, bottom); y++)
      for (let x = Math.max(0, left); x <= Math.min(width - 1, right); x++) {
        const inside = Math.min(x - left, right - x, y - top, bottom - y);
        if (inside < thickness) data.set(colours[k % colours.length], (y * width + x) * 3);
      }
  });
  return { height, width, channels: 3, data };
}
