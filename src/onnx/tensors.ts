/**
 * TensorProto -> Tensor. Many raw bytes stay where they are until they are asked for; types that we do not have become the nearest
 * that we do (bfloat16 -> float32, uint16 -> int32, uint32 and uint64 -> int64).
 */
import { isAbsolute, normalize, resolve, sep } from "node:path";
import { Bytes, MANY_BYTES } from "../core/bytes.js";
import type { DType } from "../core/dtype.js";
import {
  expected,
  ModelFormatError,
  show,
  showShape,
  UnsupportedOperatorError,
} from "../core/errors.js";
import { sizeOf } from "../core/shape.js";
import { readStored, storedTensor } from "../core/stored.js";
import { Tensor, writeNumber } from "../core/tensor.js";
import type { TensorProto } from "./messages.js";

interface ElementType {
  readonly name: string;
  readonly dtype: DType;
  /** Bytes of one element in raw_data. */
  readonly bytes: number;
  /** How one element is read where the bytes are not a dtype of ours. */
  readonly read?: (view: DataView, offset: number) => number | bigint;
}

/** ONNX's numbers for element types. */
const ELEMENT_TYPES: Readonly<Record<number, ElementType>> = {
  1: { name: "float", dtype: "float32", bytes: 4 },
  2: { name: "uint8", dtype: "uint8", bytes: 1 },
  3: { name: "int8", dtype: "int8", bytes: 1 },
  4: { name: "uint16", dtype: "int32", bytes: 2, read: (v, o) => v.getUint16(o, true) },
  5: { name: "int16", dtype: "int32", bytes: 2, read: (v, o) => v.getInt16(o, true) },
  6: { name: "int32", dtype: "int32", bytes: 4 },
  7: { name: "int64", dtype: "int64", bytes: 8 },
  9: { name: "bool", dtype: "bool", bytes: 1 },
  10: { name: "float16", dtype: "float16", bytes: 2 },
  11: { name: "double", dtype: "float64", bytes: 8 },
  12: { name: "uint32", dtype: "int64", bytes: 4, read: (v, o) => BigInt(v.getUint32(o, true)) },
  13: { name: "uint64", dtype: "int64", bytes: 8, read: (v, o) => v.getBigUint64(o, true) },
  16: {
    name: "bfloat16",
    dtype: "float32",
    bytes: 2,
    read: (v, o) => bfloat16(v.getUint16(o, true)),
  },
};

const half = new DataView(new ArrayBuffer(4));

/** The number that the upper half of a float32 means. */
function bfloat16(bits: number): number {
  half.setUint16(0, bits);
  half.setUint16(2, 0);
  return half.getFloat32(0);
}

/** Our dtype for ONNX's number of an element type. @throws {UnsupportedOperatorError} if there is none */
export function dtypeOfElement(elemType: number, what: string): DType {
  const type = ELEMENT_TYPES[elemType];
  if (type) return type.dtype;
  const names = Object.values(ELEMENT_TYPES).map(({ name }) => name);
  throw new UnsupportedOperatorError(
    expected(
      "onnx",
      `an element type of ${names.join(", ")} for ${what}`,
      `type number ${elemType}`,
    ),
  );
}

/**
 * @param folder  where the model's file lies, for tensors kept in files beside it; undefined: there is none
 * @throws {ModelFormatError} if sizes and data disagree
 */
export function toTensor(proto: TensorProto, what: string, folder?: Folder): Tensor {
  const type = ELEMENT_TYPES[proto.dataType];
  const dtype = dtypeOfElement(proto.dataType, what);
  const shape = proto.dims;
  if (
    shape.some((n) => !Number.isSafeInteger(n) || n < 0) ||
    !Number.isSafeInteger(sizeOf(shape))
  ) {
    throw new ModelFormatError(expected("onnx", `sizes >= 0 for ${what}`, show(shape)));
  }
  const count = sizeOf(shape);
  const stored = proto.dataLocation === 1 ? externalBytes(proto, what, folder) : proto.rawData;
  if (stored !== undefined && (stored.length > 0 || count === 0)) {
    const raw = Bytes.of(stored);
    if (raw.length !== count * type.bytes) {
      throw new ModelFormatError(
        expected(
          "onnx",
          `${count * type.bytes} bytes for ${what} ${showShape(shape)} of ${type.name}`,
          `${raw.length}`,
        ),
      );
    }
    return fromRaw(raw, type, shape);
  }
  return fromLists(proto, what, shape, count, dtype);
}

function fromRaw(raw: Bytes, { dtype, bytes, read }: ElementType, shape: number[]): Tensor {
  if (read) {
    const result = Tensor.zeros(shape, dtype);
    const { buffer, byteOffset, byteLength } = raw.read();
    const view = new DataView(buffer, byteOffset, byteLength);
    for (let i = 0; i < result.size; i++) result.data[i] = read(view, i * bytes);
    return result;
  }
  const stored = { bytes: raw };
  if (raw.length >= MANY_BYTES) return storedTensor(stored, shape, dtype);
  return new Tensor(readStored(stored, { shape, dtype }), shape, dtype);
}

/** Elements listed one by one in the field for their type. */
function fromLists(
  proto: TensorProto,
  what: string,
  shape: number[],
  count: number,
  dtype: DType,
): Tensor {
  const byType: Record<number, readonly (number | bigint)[]> = {
    1: proto.floatData,
    7: proto.int64Data,
    11: proto.doubleData,
    12: proto.uint64Data,
    13: proto.uint64Data,
  };
  const list = byType[proto.dataType] ?? proto.int32Data;
  if (list.length !== count) {
    throw new ModelFormatError(
      expected("onnx", `${count} elements for ${what} ${showShape(shape)}`, `${list.length}`),
    );
  }
  const result = Tensor.zeros(shape, dtype);
  list.forEach((value, i) => {
    // The 16-bit floats are listed as their bits.
    if (dtype === "float16") result.data[i] = value;
    else if (proto.dataType === 16) result.data[i] = bfloat16(Number(value));
    else writeNumber(result, i, value);
  });
  return result;
}

/** The folder of a model, for tensors kept in files beside it. */
export class Folder {
  private readonly files = new Map<string, Bytes>();

  constructor(private readonly path: string) {}

  /** A file by its path from the folder. @throws an error of the file system */
  open(path: string): Bytes {
    const file = this.files.get(path) ?? Bytes.open(resolve(this.path, path));
    this.files.set(path, file);
    return file;
  }
}

/** Bytes of a tensor kept in a file of its own beside the model. The path may not leave the model's folder. */
function externalBytes(proto: TensorProto, what: string, folder: Folder | undefined): Bytes {
  const entries = new Map(proto.externalData.map(({ key, value }) => [key, value]));
  const location = entries.get("location") ?? "";
  if (folder === undefined) {
    throw new ModelFormatError(
      `onnx: expected the data of ${what} in the model, got a reference to the file ${show(location)}; load the model by its path`,
    );
  }
  const inside = normalize(location);
  if (location === "" || isAbsolute(inside) || inside.split(sep).includes("..")) {
    throw new ModelFormatError(
      expected("onnx", `a file inside the model's folder for ${what}`, show(location)),
    );
  }
  let file: Bytes;
  try {
    file = folder.open(inside);
  } catch (error) {
    throw new ModelFormatError(
      `onnx: expected the file ${show(inside)} with the data of ${what}, got ${(error as Error).message}`,
      { cause: error },
    );
  }
  const offset = Number(entries.get("offset") ?? 0);
  const length = Number(entries.get("length") ?? file.length - offset);
  if (!(offset >= 0 && length >= 0 && offset + length <= file.length)) {
    throw new ModelFormatError(
      expected(
        "onnx",
        `bytes ${offset} to ${offset + length} in ${show(location)}`,
        `a file of ${file.length} bytes`,
      ),
    );
  }
  return file.slice(offset, length);
}
