/** xcorr receptive-field: what every layer of a model sees, as a table; one unit's box on a photo. */
import { writeFile } from "node:fs/promises";
import { OptionError, Tensor } from "xcorr";
import { load, type Network } from "xcorr/onnx";
import {
  type Box,
  effectiveReceptiveField,
  type ReceptiveField,
  receptiveField,
} from "xcorr/receptive-field";
import { type PhotoOptions, readPhoto } from "../photo.js";

export interface ReceptiveFieldOptions extends PhotoOptions {
  readonly photo?: string;
  readonly unit?: string;
  readonly png?: string;
  readonly effective?: boolean;
  readonly json?: boolean;
}

/** "layer:y,x", or "layer": its middle unit. */
function readUnit(text: string, field: ReceptiveField): { name: string; y: number; x: number } {
  const parts = /^(.*):(\d+),(\d+)$/.exec(text);
  const name = parts ? parts[1] : text;
  const { shape } = field.layer(name);
  return parts
    ? { name, y: Number(parts[2]), x: Number(parts[3]) }
    : { name, y: (shape[2] ?? 1) >> 1, x: (shape[3] ?? 1) >> 1 };
}

/** The photo, darker outside the box; with a map of how much each pixel matters, in red. */
async function overlay(
  shown: Tensor,
  box: Box,
  label: string,
  map: Tensor | undefined,
  file: string,
): Promise<void> {
  const sharp = (await import("sharp")).default;
  const [height, width] = shown.shape;
  const scale = Math.max(1, Math.ceil(640 / width));
  const pixels = new Uint8Array(shown.data as Uint8Array);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const inside = y >= box.top && y <= box.bottom && x >= box.left && x <= box.right;
      const weight = map ? Math.sqrt(map.data[y * width + x] as number) : 0;
      for (let c = 0; c < 3; c++) {
        const at = (y * width + x) * 3 + c;
        const dimmed = inside ? pixels[at] : pixels[at] * 0.4;
        pixels[at] = Math.round(dimmed * (1 - weight) + (c === 0 ? 255 : 30) * weight);
      }
    }
  const [w, h] = [width * scale, height * scale];
  const at = {
    x: box.left * scale,
    y: box.top * scale,
    w: (box.right - box.left + 1) * scale,
    h: (box.bottom - box.top + 1) * scale,
  };
  const escaped = label.replace(/[<>&]/g, (c) => `&#${c.charCodeAt(0)};`);
  const frame = `<svg width="${w}" height="${h + 32}"><rect x="0" y="${h}" width="${w}" height="32" fill="#111"/>
    <rect x="${at.x + 1}" y="${at.y + 1}" width="${at.w - 2}" height="${at.h - 2}" fill="none" stroke="#000" stroke-width="5"/>
    <rect x="${at.x + 1}" y="${at.y + 1}" width="${at.w - 2}" height="${at.h - 2}" fill="none" stroke="#ffcc00" stroke-width="2.5"/>
    <text x="10" y="${h + 21}" font-family="sans-serif" font-size="15" fill="#fff">${escaped}</text></svg>`;
  const enlarged = await sharp(Buffer.from(pixels), { raw: { width, height, channels: 3 } })
    .resize(w, h, { kernel: "nearest" })
    .png()
    .toBuffer();
  const png = await sharp(enlarged)
    .extend({ bottom: 32, background: "#111" })
    .composite([{ input: Buffer.from(frame) }])
    .png()
    .toBuffer();
  await writeFile(file, png);
}

async function unitReport(
  net: Network,
  field: ReceptiveField,
  input: Tensor,
  options: ReceptiveFieldOptions,
  shown: Tensor | undefined,
): Promise<object> {
  const unit = readUnit(options.unit as string, field);
  const box = field.box(unit.name, unit.y, unit.x);
  const effective = options.effective
    ? effectiveReceptiveField(net, unit.name, { images: [input], unit: [unit.y, unit.x] })
    : undefined;
  if (options.png) {
    if (!shown || !box)
      throw new OptionError("--png: expected --photo, and a unit that sees something of it");
    const size = `${box.bottom - box.top + 1} x ${box.right - box.left + 1} pixels`;
    await overlay(
      shown,
      box,
      `${unit.name} unit ${unit.y}, ${unit.x} sees ${size}`,
      effective?.map,
      options.png,
    );
  }
  return { ...unit, box, ...(effective && { radius95: effective.radius95 }) };
}

export async function receptiveFieldCommand(
  model: string,
  options: ReceptiveFieldOptions,
): Promise<void> {
  using net = await load(model, { prepare: false });
  const photo = options.photo ? await readPhoto(net, options.photo, options) : undefined;
  const [height, width] = (options.size ?? "224x224").split("x").map(Number);
  const shape = net.inputs[0].shape.map((n, axis) =>
    typeof n === "number" ? n : ([1, 3, height, width][axis] ?? 1),
  );
  const input = photo?.input ?? Tensor.zeros(shape);
  const field = receptiveField(net, { input });
  const unit = options.unit
    ? await unitReport(net, field, input, options, photo?.shown)
    : undefined;
  if (options.json) {
    console.log(
      JSON.stringify({ model, ...field.toJSON(), unit }, (_, value) =>
        value === Number.POSITIVE_INFINITY ? "whole" : value,
      ),
    );
    return;
  }
  console.log(field.toString());
  const idle = field.unproductive();
  if (idle.length > 0)
    console.log(
      `\n${idle.length} layers are unproductive at this size: what comes in sees the whole image already (first: ${idle[0]})`,
    );
  if (unit) console.log(`\n${JSON.stringify(unit)}`);
  if (options.png) console.log(`wrote ${options.png}`);
}
