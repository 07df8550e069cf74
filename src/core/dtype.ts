/**
 * Element types and the typed arrays that hold them.
 *
 * float16 lives in a Uint16Array (its bits), int64 in a BigInt64Array, bool in a Uint8Array of 0 and 1.
 * float64 is for checks and gradients; no kernel is written for it.
 */

export type DType =
  | "float32"
  | "float64"
  | "float16"
  | "int8"
  | "uint8"
  | "int32"
  | "int64"
  | "bool";

export type TypedArray =
  | Float32Array
  | Float64Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | Int32Array
  | BigInt64Array;

interface DTypeInfo {
  readonly bytes: number;
  readonly array: new (length: number) => TypedArray;
  readonly view: (buffer: ArrayBufferLike, byteOffset: number, length: number) => TypedArray;
}

export const DTYPES: Readonly<Record<DType, DTypeInfo>> = {
  float32: { bytes: 4, array: Float32Array, view: (b, o, n) => new Float32Array(b, o, n) },
  float64: { bytes: 8, array: Float64Array, view: (b, o, n) => new Float64Array(b, o, n) },
  float16: { bytes: 2, array: Uint16Array, view: (b, o, n) => new Uint16Array(b, o, n) },
  int8: { bytes: 1, array: Int8Array, view: (b, o, n) => new Int8Array(b, o, n) },
  uint8: { bytes: 1, array: Uint8Array, view: (b, o, n) => new Uint8Array(b, o, n) },
  int32: { bytes: 4, array: Int32Array, view: (b, o, n) => new Int32Array(b, o, n) },
  int64: { bytes: 8, array: BigInt64Array, view: (b, o, n) => new BigInt64Array(b, o, n) },
  bool: { bytes: 1, array: Uint8Array, view: (b, o, n) => new Uint8Array(b, o, n) },
};

export const isFloat = (dtype: DType): boolean => dtype.startsWith("float");

/** The dtype that an array means when nothing else is said; undefined for arrays that hold none of ours. */
export function dtypeOf(data: unknown): DType | undefined {
  // Most are; asking for a name takes 100 ns.
  if (data instanceof Float32Array) return "float32";
  // Names instead of instanceof: a Float16Array may not exist here, and arrays may come from another realm.
  switch (Object.prototype.toString.call(data)) {
    case "[object Float32Array]":
      return "float32";
    case "[object Float64Array]":
      return "float64";
    case "[object Float16Array]":
      return "float16";
    case "[object Int8Array]":
      return "int8";
    case "[object Uint8Array]":
    case "[object Uint8ClampedArray]":
      return "uint8";
    case "[object Int32Array]":
      return "int32";
    case "[object BigInt64Array]":
      return "int64";
    default:
      return undefined;
  }
}

const scratch = new DataView(new ArrayBuffer(4));

/** The number that 16 bits of IEEE half precision mean. */
export function fromFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The nearest half-precision bits, ties to even. */
export function toFloat16(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  if (Number.isNaN(value)) return sign | 0x7e00;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  if (magnitude < 2 ** -14) return sign | roundHalfEven(magnitude * 2 ** 24);
  const exponent = Math.floor(Math.log2(magnitude));
  // log2 may be off by one just under a power of two; the fraction tells.
  const e =
    magnitude < 2 ** exponent
      ? exponent - 1
      : magnitude >= 2 ** (exponent + 1)
        ? exponent + 1
        : exponent;
  return sign | (roundHalfEven((magnitude / 2 ** e - 1) * 1024) + ((e + 15) << 10));
}

/** Round to the nearest integer, halves to the even one (ONNX Round, quantisation). */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest < 0.5) return floor;
  if (rest > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}
