/** The files of TensorBoard's projector: points, what is known of each, thumbnails. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expected, ShapeError, showShape } from "../core/errors.js";
import { checkOptions } from "../core/options.js";
import type { Tensor } from "../core/tensor.js";
import { grid, toPictures, toPng } from "./picture.js";

export interface EmbeddingOptions {
  /** One row per point: a label, or one per column of metadataHeader. */
  readonly metadata?: readonly (string | readonly string[])[];
  readonly metadataHeader?: readonly string[];
  /** (N, C, H, W), a thumbnail per point. */
  readonly labelImg?: Tensor;
  readonly step?: number;
  readonly tag?: string;
}

/**
 * Writes the files of points (N, D) below a log's directory.
 *
 * @returns their entry in projector_config.pbtxt
 */
export function writeEmbedding(logdir: string, points: Tensor, options: EmbeddingOptions): string {
  checkOptions("addEmbedding", options, ["metadata", "metadataHeader", "labelImg", "step", "tag"]);
  const { metadata, metadataHeader, labelImg, tag = "default", step = 0 } = options;
  checkCounts(points, options);
  const number = String(step).padStart(5, "0");
  const folder = `${number}/${tag}`;
  const config = [
    `embeddings {`,
    `tensor_name: "${tag}:${number}"`,
    `tensor_path: "${folder}/tensors.tsv"`,
  ];
  mkdirSync(join(logdir, folder), { recursive: true });
  const write = (name: string, data: string | Uint8Array): void =>
    writeFileSync(join(logdir, folder, name), data);
  write("tensors.tsv", tsv(points.toArray() as number[][]));
  if (metadata) {
    const rows = metadata.map((row) => (typeof row === "string" ? [row] : row));
    write("metadata.tsv", tsv(metadataHeader ? [metadataHeader, ...rows] : rows));
    config.push(`metadata_path: "${folder}/metadata.tsv"`);
  }
  if (labelImg) {
    const pictures = toPictures("addEmbedding", labelImg, "NCHW");
    write("sprite.png", toPng(grid(pictures, { gap: 0, background: 0 })));
    config.push(
      "sprite {",
      `image_path: "${folder}/sprite.png"`,
      `single_image_dim: ${labelImg.shape[3]}`,
      `single_image_dim: ${labelImg.shape[2]}`,
      "}",
    );
  }
  return [...config, "}"].join("\n");
}

function checkCounts(points: Tensor, { metadata, labelImg }: EmbeddingOptions): void {
  if (points.rank !== 2)
    throw new ShapeError(expected("addEmbedding", "points (N, D)", showShape(points.shape)));
  const [count] = points.shape;
  if (metadata && metadata.length !== count)
    throw new ShapeError(
      expected("addEmbedding", `${count} rows of metadata`, String(metadata.length)),
    );
  if (labelImg && labelImg.shape[0] !== count)
    throw new ShapeError(
      expected("addEmbedding", `${count} pictures (N, C, H, W)`, showShape(labelImg.shape)),
    );
}

const tsv = (rows: readonly (readonly (string | number)[])[]): string =>
  rows
    .map((row) => `${row.map((cell) => String(cell).replace(/[\t\n]/g, " ")).join("\t")}\n`)
    .join("");
