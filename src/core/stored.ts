/**
 * Tensors whose elements stay where they are stored until somebody asks for them. A model's weights are most of its memory, and a backend
 * that packs them needs each only once.
 */
import { Bytes } from "./bytes.js";
import { DTYPES, type DType, type TypedArray } from "./dtype.js";
import { type Shape, sizeOf } from "./shape.js";
import { Tensor } from "./tensor.js";

/** Elements as bytes. With n factors, each n-th of the elements, all float32, is multiplied by the next of them. */
export interface Stored {
  readonly bytes: Bytes;
  readonly factors?: Float64Array;
}

const stored = new WeakMap<Tensor, Stored>();

/** Where a tensor's elements are stored; undefined for one that has them in memory. */
export const storedIn = (tensor: Tensor): Stored | undefined => stored.get(tensor);

/** The elements, without keeping them in memory if they are not there. */
export function elementsOf(tensor: Tensor): TypedArray {
  const from = stored.get(tensor);
  return from ? readStored(from, tensor) : tensor.data;
}

/** A tensor that reads its elements when its `data` is first asked for, and has them from then on. */
export function storedTensor(from: Stored, shape: Shape, dtype: DType): Tensor {
  const tensor: Tensor = Object.create(Tensor.prototype, {
    data: {
      configurable: true,
      enumerable: true,
      get(this: Tensor) {
        const value = elementsOf(this);
        Object.defineProperty(this, "data", { value, enumerable: true });
        stored.delete(this);
        return value;
      },
    },
  });
  Object.assign(tensor, {
    shape: Object.freeze([...shape]),
    dtype,
    requiresGrad: false,
    grad: undefined,
    step: undefined,
  });
  stored.set(tensor, from);
  return tensor;
}

/** A float32 tensor times n factors, each for an n-th of its elements: they are multiplied when they are read. */
export function scaledTensor(tensor: Tensor, factors: Float64Array): Tensor {
  if (factors.every((factor) => factor === 1)) return tensor;
  const { bytes, factors: before } = stored.get(tensor) ?? { bytes: bytesOf(tensor) };
  const all = before ? multiply(before, factors) : factors;
  return storedTensor({ bytes, factors: all }, tensor.shape, "float32");
}

const bytesOf = ({ data }: Tensor): Bytes =>
  Bytes.of(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));

/** Factors in a row, as many as the longer list has; its length is a multiple of the other's. */
function multiply(a: Float64Array, b: Float64Array): Float64Array {
  const [long, short] = a.length < b.length ? [b, a] : [a, b];
  const run = long.length / short.length;
  const all = long.slice();
  for (let k = 0; k < all.length; k++) all[k] *= short[Math.floor(k / run)];
  return all;
}

/** The elements, read and multiplied. */
export function readStored(
  { bytes, factors }: Stored,
  { shape, dtype }: { shape: Shape; dtype: DType },
): TypedArray {
  const { view, bytes: size } = DTYPES[dtype];
  const raw = bytes.read();
  // A new Uint8Array, not raw.slice(): on a Buffer that is a view, not a copy.
  const own = raw.byteOffset % size === 0 && !factors ? raw : new Uint8Array(raw);
  const data = view(own.buffer, own.byteOffset, sizeOf(shape));
  if (!factors) return data;
  const run = data.length / factors.length;
  factors.forEach((factor, k) => {
    for (let i = k * run; i < (k + 1) * run; i++) data[i] = (data[i] as number) * factor;
  });
  return data;
}
