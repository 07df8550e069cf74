/** xcorr/onnx: `load` an ONNX model, run it. */
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import "../backends/choose.js";
import { type BackendRequest, resolveBackend } from "../core/dispatch.js";
import { expected, ModelFormatError, OptionError, show } from "../core/errors.js";
import { checkOptions, readBoolean, readChoice, readInt } from "../core/options.js";
import { Network } from "../network.js";
import { OnnxModel } from "./import.js";

export type { ValueInfo } from "../graph/graph.js";
export type { Explanation, Feeds, RunOptions } from "../network.js";
export { Network } from "../network.js";
export { type ToOnnxOptions, toOnnx } from "./export/index.js";

export interface LoadOptions extends BackendRequest {
  /** Threads of one run; default: the CPUs that this process may use. */
  readonly threads?: number;
  /** false runs the graph as it stands; default true. */
  readonly optimize?: boolean;
  /** "off": convolutions sum every product as it stands, at half the speed or less and half the rounding error. Default "auto". */
  readonly winograd?: "auto" | "off";
  /**
   * true: the algorithm of each convolution is found by trying those that may be the fastest, which takes some milliseconds a layer when a plan is made.
   * Two processes may then choose differently, and differ in the last bits of their results. Default false: by expectation, always the same.
   */
  readonly tune?: boolean;
}

/**
 * Loads an ONNX model.
 *
 * @param model    a path, a file URL, or the bytes of the file (kept: weights are viewed, not copied, so do not change them)
 * @param options  backend "native" or "reference", isa, threads, optimize, winograd, tune
 * @throws {ModelFormatError} if the file cannot be read or is no model
 * @throws {UnsupportedOperatorError} if it has operators that this library has not
 * @throws {OptionError | AddonError} if the options cannot be met
 */
export async function load(
  model: string | URL | Uint8Array | ArrayBuffer,
  options: LoadOptions = {},
): Promise<Network> {
  checkOptions("load", options, ["backend", "isa", "threads", "optimize", "winograd", "tune"]);
  const threads =
    options.threads === undefined ? undefined : readInt("load", "threads", options.threads, 1, 256);
  const optimize = readBoolean("load", "optimize", options.optimize ?? true);
  const winograd =
    readChoice("load", "winograd", options.winograd ?? "auto", ["auto", "off"]) === "auto";
  const tune = readBoolean("load", "tune", options.tune ?? false);
  const backend = resolveBackend({ backend: options.backend, isa: options.isa });
  const { bytes, folder } = await readModel(model);
  return new Network(new OnnxModel(bytes, folder), { backend, threads, optimize, winograd, tune });
}

async function readModel(model: unknown): Promise<{ bytes: Uint8Array; folder?: string }> {
  if (model instanceof Uint8Array) return { bytes: model };
  if (model instanceof ArrayBuffer) return { bytes: new Uint8Array(model) };
  if (typeof model !== "string" && !(model instanceof URL)) {
    throw new OptionError(
      expected("load", "a path, a file URL or the bytes of a model", show(model)),
    );
  }
  const path = typeof model === "string" ? model : fileURLToPath(model);
  try {
    return { bytes: await readFile(path), folder: dirname(path) };
  } catch (error) {
    throw new ModelFormatError(`load: expected a readable file, got ${(error as Error).message}`, {
      cause: error,
    });
  }
}
