/**
 * Weights in the safetensors format: 8 bytes with the length of a JSON header, the header (name -> dtype, shape, begin and end of the data),
 * then the data. Source: the format's description in huggingface/safetensors.
 */
import { DTYPES, type DType } from "./core/dtype.js";
import { expected, ModelFormatError, show } from "./core/errors.js";
import { checkShape, sizeOf } from "./core/shape.js";
import { Tensor } from "./core/tensor.js";

const NAMES: Readonly<Record<DType, string>> = {
  float32: "F32",
  float64: "F64",
  float16: "F16",
  int8: "I8",
  uint8: "U8",
  int32: "I32",
  int64: "I64",
  bool: "BOOL",
};

/** The bytes of a file with these tensors, e.g. of `module.stateDict()`. */
export function saveSafetensors(tensors: Readonly<Record<string, Tensor>>): Uint8Array {
  const header: Record<string, object> = {};
  let offset = 0;
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype: NAMES[dtype], shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  const text = JSON.stringify(header);
  const encoded = new TextEncoder().encode(text);
  // Spaces after the header, so that the data begin at a multiple of 8.
  const length = Math.ceil(encoded.length / 8) * 8;
  const bytes = new Uint8Array(8 + length + offset).fill(32, 8, 8 + length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(encoded, 8);
  let at = 8 + length;
  for (const { data } of Object.values(tensors)) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}

/**
 * The tensors of a file, each with memory of its own.
 *
 * @throws {ModelFormatError} if the bytes are no safetensors file, or hold a dtype that we do not have
 */
export function loadSafetensors(bytes: Uint8Array): Record<string, Tensor> {
  const bad = (what: string, got: string) =>
    new ModelFormatError(expected("safetensors", what, got));
  if (bytes.length < 8) throw bad("at least 8 bytes", `${bytes.length}`);
  const length = Number(
    new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true),
  );
  if (length > bytes.length - 8)
    throw bad(`a header of at most ${bytes.length - 8} bytes`, `${length}`);
  let header: Record<string, { dtype?: unknown; shape?: unknown; data_offsets?: unknown }>;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  } catch (error) {
    throw new ModelFormatError(
      `safetensors: expected a JSON header, got ${(error as Error).message}`,
      { cause: error },
    );
  }
  const data = bytes.subarray(8 + length);
  const result: Record<string, Tensor> = {};
  for (const [name, entry] of Object.entries(header ?? {})) {
    if (name === "__metadata__") continue;
    const dtype = (Object.keys(NAMES) as DType[]).find((key) => NAMES[key] === entry?.dtype);
    if (!dtype)
      throw bad(
        `a dtype of ${Object.values(NAMES).join(", ")} for ${show(name)}`,
        show(entry?.dtype),
      );
    checkShape(`safetensors ${show(name)}`, entry.shape);
    const [begin, end] = Array.isArray(entry.data_offsets) ? entry.data_offsets : [];
    const size = sizeOf(entry.shape) * DTYPES[dtype].bytes;
    if (!Number.isSafeInteger(begin) || begin < 0 || end !== begin + size || end > data.length) {
      throw bad(
        `${size} bytes inside the file for ${show(name)}`,
        `bytes ${show(begin)} to ${show(end)} of ${data.length}`,
      );
    }
    const copy = new Uint8Array(data.subarray(begin, end));
    result[name] = new Tensor(
      DTYPES[dtype].view(copy.buffer, 0, sizeOf(entry.shape)),
      entry.shape,
      dtype,
    );
  }
  return result;
}
