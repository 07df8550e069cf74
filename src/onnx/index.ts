/** xcorr/onnx: `load` an ONNX model, run it. */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import "../backends/choose.js";
import { Bytes } from "../core/bytes.js";
import { expected, ModelFormatError, OptionError, show } from "../core/errors.js";
import { type NetworkRequest, readNetworkRequest } from "../core/networkOptions.js";
import { readBoolean } from "../core/options.js";
import { Network } from "../network.js";
import { OnnxModel } from "./import.js";
import { Folder } from "./tensors.js";

export type { ValueInfo } from "../graph/graph.js";
export type { Explanation, Feeds, RunOptions } from "../network.js";
export { Network } from "../network.js";
export { type ToOnnxOptions, toOnnx } from "./export/index.js";

export interface LoadOptions extends NetworkRequest {
  /**
   * true: the plan of a model that fixes the sizes of all its inputs is made, and its weights are packed, before load resolves, so that no run waits for
   * that. false: by the first run, for those who want something else of the model. Default true.
   */
  readonly prepare?: boolean;
}

/**
 * Loads an ONNX model.
 *
 * @param model    a path, a file URL, or the bytes of the file. Weights are read when a plan packs them, so a file stays open (replace it by
 *                 another instead of writing to it), and bytes are kept (do not change them)
 * @param options  backend "native" or "reference", isa, threads, optimize, winograd, tune, prepare
 * @throws {ModelFormatError} if the file cannot be read or is no model
 * @throws {UnsupportedOperatorError} if it has operators that this library has not
 * @throws {OptionError | AddonError} if the options cannot be met
 */
export async function load(
  model: string | URL | Uint8Array | ArrayBuffer,
  options: LoadOptions = {},
): Promise<Network> {
  const asked = readNetworkRequest("load", options, ["prepare"]);
  const prepares = readBoolean("load", "prepare", options.prepare ?? true);
  const { bytes, folder } = readModel(model);
  const network = new Network(new OnnxModel(bytes, folder), asked);
  if (prepares) network.prepareFixed();
  return network;
}

function readModel(model: unknown): { bytes: Bytes; folder?: Folder } {
  if (model instanceof Uint8Array) return { bytes: Bytes.of(model) };
  if (model instanceof ArrayBuffer) return { bytes: Bytes.of(new Uint8Array(model)) };
  if (typeof model !== "string" && !(model instanceof URL)) {
    throw new OptionError(
      expected("load", "a path, a file URL or the bytes of a model", show(model)),
    );
  }
  const path = typeof model === "string" ? model : fileURLToPath(model);
  try {
    return { bytes: Bytes.open(path), folder: new Folder(dirname(path)) };
  } catch (error) {
    throw new ModelFormatError(`load: expected a readable file, got ${(error as Error).message}`, {
      cause: error,
    });
  }
}
