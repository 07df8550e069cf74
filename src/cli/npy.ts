/**
 * NumPy's .npy files: six magic bytes, a version, the length of a header, the header (a Python dictionary: descr, fortran_order, shape),
 * then the elements, row-major, little-endian.
 */
import { DTYPES, type DType } from "../core/dtype.js";
import { expected, ModelFormatError, show } from "../core/errors.js";
import { checkShape, sizeOf } from "../core/shape.js";
import { Tensor } from "../core/tensor.js";

const DTYPE_OF: Readonly<Record<string, DType>> = {
  "<f4": "float32",
  "<f8": "float64",
  "<f2": "float16",
  "|i1": "int8",
  "|u1": "uint8",
  "<i4": "int32",
  "<i8": "int64",
  "|b1": "bool",
};

/** @throws {ModelFormatError} if the bytes are not a .npy file that we can hold */
export function parseNpy(bytes: Uint8Array): Tensor {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = String.fromCharCode(...bytes.subarray(1, 6));
  if (bytes.length < 12 || bytes[0] !== 0x93 || magic !== "NUMPY") {
    throw new ModelFormatError(expected("npy", "a .npy file", "other bytes"));
  }
  const long = bytes[6] >= 2;
  const headerLength = long ? view.getUint32(8, true) : view.getUint16(8, true);
  const start = (long ? 12 : 10) + headerLength;
  const header = new TextDecoder().decode(bytes.subarray(long ? 12 : 10, start));
  const descr = /'descr':\s*'([^']*)'/.exec(header)?.[1] ?? "";
  const dtype = DTYPE_OF[descr];
  if (!dtype)
    throw new ModelFormatError(
      expected("npy", `elements of ${Object.keys(DTYPE_OF).join(", ")}`, show(descr)),
    );
  if (!/'fortran_order':\s*False/.test(header))
    throw new ModelFormatError(expected("npy", "row-major order", "column-major order"));
  const sizes = /'shape':\s*\(([\d\s,]*)\)/.exec(header)?.[1];
  if (sizes === undefined) throw new ModelFormatError(expected("npy", "a shape", show(header)));
  const shape = sizes
    .split(",")
    .map((s) => s.trim())
    .filter(Boolean)
    .map(Number);
  checkShape("npy", shape);
  const length = sizeOf(shape) * DTYPES[dtype].bytes;
  if (bytes.length - start !== length) {
    throw new ModelFormatError(
      expected(
        "npy",
        `${length} bytes of elements for shape (${shape.join(", ")}) ${descr}`,
        `${bytes.length - start}`,
      ),
    );
  }
  const data = new Uint8Array(bytes.subarray(start));
  return new Tensor(DTYPES[dtype].view(data.buffer, 0, sizeOf(shape)), shape, dtype);
}

/** The bytes of a .npy file (version 1) of a tensor. */
export function formatNpy(tensor: Tensor): Uint8Array {
  const descr = Object.keys(DTYPE_OF).find((key) => DTYPE_OF[key] === tensor.dtype);
  const shape =
    tensor.shape.length === 1 ? `(${tensor.shape[0]},)` : `(${tensor.shape.join(", ")})`;
  const dictionary = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`;
  // The elements begin at a multiple of 64.
  const total = Math.ceil((10 + dictionary.length + 1) / 64) * 64;
  const header = `${dictionary.padEnd(total - 11)}\n`;
  const { data } = tensor;
  const result = new Uint8Array(total + data.byteLength);
  result.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]);
  new DataView(result.buffer).setUint16(8, header.length, true);
  result.set(new TextEncoder().encode(header), 10);
  result.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), total);
  return result;
}
