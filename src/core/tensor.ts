/**
 * Tensor: a typed array and a shape, row-major. JavaScript owns the memory; native code borrows it for one call.
 */
import { DTYPES, type DType, dtypeOf, fromFloat16, type TypedArray, toFloat16 } from "./dtype.js";
import { expected, ShapeError, show, showShape, TensorError } from "./errors.js";
import { isGradEnabled } from "./gradMode.js";
import type { TensorType } from "./op.js";
import { checkShape, frozenShape, type Shape, sizeOf } from "./shape.js";

/** Numbers nested as deep as the tensor has axes. */
export type NestedNumbers = number | bigint | boolean | readonly NestedNumbers[];

/** Options of the random constructors: the same seed gives the same numbers on every machine. */
export interface RandomOptions {
  readonly seed?: number;
}

/** What made a tensor, where gradients are wanted: see autograd.ts. */
export interface GradientStep {
  readonly name: string;
  inputs: readonly Tensor[];
  /** Gradients of the inputs, from those of the outputs that have one. */
  gradient(outputGradients: ReadonlyMap<Tensor, Tensor>): readonly (Tensor | undefined)[];
  /** backward() went through: what it needs was let go. */
  freed?: boolean;
}

export class Tensor implements TensorType {
  readonly data: TypedArray;
  readonly shape: Shape;
  readonly dtype: DType;
  /** Ops on this tensor are recorded, so that backward() can give it a gradient. Results of such ops require gradients too. */
  requiresGrad = false;
  /** The gradient that backward() calls have added up; undefined before the first, and after zeroGrad(). */
  grad: Tensor | undefined = undefined;
  /** What made this tensor, if that was recorded. */
  step: GradientStep | undefined = undefined;

  /**
   * Wraps `data` without copying.
   *
   * @param data   the elements, row-major; its length is the product of the shape
   * @param shape  sizes, outermost axis first; `[]` is a scalar
   * @param dtype  where the array type alone does not say it: "bool" in a Uint8Array, "float16" in a Uint16Array
   * @throws {TensorError} if the array is not a typed array of a known dtype, is detached, or is resizable
   * @throws {ShapeError} if the shape is not a list of sizes, or does not fit the length
   */
  constructor(data: TypedArray, shape: Shape, dtype?: DType) {
    const natural = dtypeOf(data);
    const type = dtype ?? natural;
    if (type === undefined) {
      const isHalf = Object.prototype.toString.call(data) === "[object Uint16Array]";
      throw new TensorError(
        expected(
          "Tensor",
          "a typed array of a known dtype",
          show(data),
          isHalf ? 'pass "float16" as the third argument' : undefined,
        ),
      );
    }
    if (!(type in DTYPES)) {
      throw new TensorError(
        expected("Tensor", `a dtype (${Object.keys(DTYPES).join(", ")})`, show(dtype)),
      );
    }
    const fits =
      natural === type ||
      (type === "bool" && natural === "uint8") ||
      (type === "float16" && data.BYTES_PER_ELEMENT === 2);
    if (!fits) {
      throw new TensorError(
        expected("Tensor", `a ${DTYPES[type].array.name} for dtype "${type}"`, show(data)),
      );
    }
    this.data =
      type === "float16" && natural === "float16"
        ? new Uint16Array(data.buffer, data.byteOffset, data.length)
        : data;
    this.shape = frozenShape("Tensor", shape);
    this.dtype = type;
    const { resizable, growable } = data.buffer as { resizable?: boolean; growable?: boolean };
    if (resizable || growable) {
      throw new TensorError(
        expected("Tensor", "a buffer of fixed length", "a resizable one", "copy it: data.slice()"),
      );
    }
    checkData("Tensor", this);
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** Number of axes. */
  get rank(): number {
    return this.shape.length;
  }

  /**
   * A tensor from nested arrays.
   *
   * @param values  numbers nested evenly; booleans make sense with dtype "bool"
   * @param dtype   default "float32"
   * @throws {ShapeError} if the nesting is ragged
   */
  static from(values: NestedNumbers, dtype: DType = "float32"): Tensor {
    if (!(dtype in DTYPES)) {
      throw new TensorError(
        expected("Tensor.from", `a dtype (${Object.keys(DTYPES).join(", ")})`, show(dtype)),
      );
    }
    const shape: number[] = [];
    for (let v: NestedNumbers = values; Array.isArray(v); v = v[0] as NestedNumbers) {
      shape.push(v.length);
      if (v.length === 0) break;
    }
    const result = Tensor.zeros(shape, dtype);
    let next = 0;
    const fill = (v: NestedNumbers, depth: number): void => {
      if (depth < shape.length) {
        if (!Array.isArray(v) || v.length !== shape[depth]) {
          throw new ShapeError(
            expected(
              "Tensor.from",
              `${shape[depth]} entries at depth ${depth}`,
              Array.isArray(v) ? String(v.length) : show(v),
              "nested arrays must not be ragged",
            ),
          );
        }
        for (const entry of v as readonly NestedNumbers[]) fill(entry, depth + 1);
        return;
      }
      if (typeof v !== "number" && typeof v !== "bigint" && typeof v !== "boolean") {
        throw new TensorError(
          expected(
            "Tensor.from",
            "numbers",
            show(v),
            Array.isArray(v) ? "nested arrays must not be ragged" : undefined,
          ),
        );
      }
      writeNumber(result, next++, v);
    };
    fill(values, 0);
    return result;
  }

  /** A tensor of zeros. */
  static zeros(shape: Shape, dtype: DType = "float32"): Tensor {
    checkShape("Tensor.zeros", shape);
    return new Tensor(new DTYPES[dtype].array(sizeOf(shape)), shape, dtype);
  }

  /** A tensor of ones. */
  static ones(shape: Shape, dtype: DType = "float32"): Tensor {
    return Tensor.full(shape, 1, dtype);
  }

  /** A tensor of one value. */
  static full(shape: Shape, value: number, dtype: DType = "float32"): Tensor {
    const result = Tensor.zeros(shape, dtype);
    for (let i = 0; i < result.size; i++) writeNumber(result, i, value);
    return result;
  }

  /** Uniform random float32 numbers in [0, 1). */
  static rand(shape: Shape, options: RandomOptions = {}): Tensor {
    const result = Tensor.zeros(shape);
    const next = randomSource(options.seed);
    for (let i = 0; i < result.size; i++) result.data[i] = next();
    return result;
  }

  /** Random float32 numbers from the standard normal distribution (Box and Muller's transform). */
  static randn(shape: Shape, options: RandomOptions = {}): Tensor {
    const result = Tensor.zeros(shape);
    const next = randomSource(options.seed);
    for (let i = 0; i < result.size; i++) {
      result.data[i] = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
    }
    return result;
  }

  /** Entry i of the first axis; shares memory. Negative i counts from the end. */
  at(i: number): Tensor {
    const length = this.shape[0];
    if (length === undefined)
      throw new ShapeError(expected("Tensor.at", "a tensor with at least one axis", "a scalar"));
    if (!Number.isInteger(i) || i < -length || i >= length) {
      throw new ShapeError(
        expected("Tensor.at", `an index from ${-length} to ${length - 1}`, show(i)),
      );
    }
    const rest = this.shape.slice(1);
    const step = sizeOf(rest);
    const start = (i < 0 ? i + length : i) * step;
    return recordView(
      this,
      new Tensor(this.data.subarray(start, start + step), rest, this.dtype),
      "at",
      (gradient) => {
        const whole = Tensor.zeros(this.shape, this.dtype);
        whole.data.set(gradient.data as never, start);
        return whole;
      },
    );
  }

  /** The same data without what is recorded: requires no gradients. @see torch.Tensor.detach */
  detach(): Tensor {
    return new Tensor(this.data, this.shape, this.dtype);
  }

  /** The same data under another shape; shares memory. One size may be -1: it is worked out. */
  reshape(shape: readonly number[]): Tensor {
    const rest = shape.reduce((product, n) => (n === -1 ? product : product * n), 1);
    const sizes = shape.map((n) => (n === -1 ? this.size / rest : n));
    if (shape.filter((n) => n === -1).length > 1 || sizeOf(sizes) !== this.size) {
      throw new ShapeError(
        expected(
          "Tensor.reshape",
          `a shape of ${this.size} elements, at most one size -1`,
          showShape(shape),
        ),
      );
    }
    return recordView(this, new Tensor(this.data, sizes, this.dtype), "reshape", (gradient) =>
      gradient.reshape(this.shape),
    );
  }

  /** A copy with memory of its own. */
  clone(): Tensor {
    return new Tensor(this.data.slice(), this.shape, this.dtype);
  }

  /** The only element of a tensor of size 1, as a number. */
  item(): number {
    if (this.size !== 1)
      throw new ShapeError(
        expected("Tensor.item", "a tensor of one element", showShape(this.shape)),
      );
    return readNumber(this, 0);
  }

  /** Nested JavaScript numbers (a bare number for a scalar). int64 becomes numbers too. */
  toArray(): NestedNumbers {
    const nest = (axis: number, start: number): NestedNumbers => {
      if (axis === this.rank)
        return this.dtype === "bool" ? this.data[start] !== 0 : readNumber(this, start);
      const step = sizeOf(this.shape.slice(axis + 1));
      return Array.from({ length: this.shape[axis] }, (_, i) => nest(axis + 1, start + i * step));
    };
    return nest(0, 0);
  }

  toString(): string {
    const head = Array.from({ length: Math.min(this.size, 6) }, (_, i) =>
      String(+readNumber(this, i).toPrecision(4)),
    );
    return `Tensor(${showShape(this.shape)}, ${this.dtype}) [${head.join(", ")}${this.size > 6 ? ", ..." : ""}]`;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }
}

/** Records a view of a tensor, if that requires gradients: views are made without an op. */
function recordView(
  source: Tensor,
  view: Tensor,
  name: string,
  gradient: (of: Tensor) => Tensor,
): Tensor {
  if (!source.requiresGrad || !isGradEnabled()) return view;
  view.requiresGrad = true;
  view.step = {
    name,
    inputs: [source],
    gradient: (gradients) => {
      const own = gradients.get(view);
      return [own && gradient(own)];
    },
  };
  return view;
}

/** Throws if a tensor's memory cannot be used now: it was detached since. */
export function checkData(where: string, tensor: Tensor, input?: string): void {
  const { data, shape, dtype } = tensor;
  if (data.length === sizeOf(shape)) return;
  const place = input === undefined ? where : `${where}, input "${input}"`;
  // A view on a detached buffer has length 0; a tensor is never made of one, so this is what happened since.
  if (data.length === 0 && data.buffer.byteLength === 0) {
    throw new TensorError(
      expected(
        place,
        `${sizeOf(shape)} elements for shape ${showShape(shape)}`,
        "an empty or detached buffer",
        "was it transferred to a worker?",
      ),
    );
  }
  throw new ShapeError(
    expected(
      place,
      `${sizeOf(shape)} elements for shape ${showShape(shape)} (${dtype})`,
      String(data.length),
    ),
  );
}

/** Element i as a JavaScript number, whatever the dtype. */
export function readNumber(tensor: Tensor, i: number): number {
  const value = tensor.data[i];
  return tensor.dtype === "float16" ? fromFloat16(value as number) : Number(value);
}

/** Stores a number as element i, converted to the dtype: integers truncate and wrap as typed arrays do, bool is `!= 0`. */
export function writeNumber(tensor: Tensor, i: number, value: number | bigint | boolean): void {
  const { data, dtype } = tensor;
  if (dtype === "int64")
    data[i] =
      typeof value === "bigint"
        ? value
        : Number.isFinite(Number(value))
          ? BigInt(Math.trunc(Number(value)))
          : 0n;
  else if (dtype === "bool") data[i] = value ? 1 : 0;
  else if (dtype === "float16") data[i] = toFloat16(Number(value));
  else data[i] = Number(value);
}

/** All elements as numbers in an array that is quick to read: the data itself where it can be. */
export function numbersOf(tensor: Tensor): ArrayLike<number> {
  if (tensor.dtype !== "int64" && tensor.dtype !== "float16")
    return tensor.data as ArrayLike<number> as Float32Array;
  return Float64Array.from({ length: tensor.size }, (_, i) => readNumber(tensor, i));
}

/** Uniform numbers in [0, 1) from 32 bits of state (mulberry32): small, seeded, the same everywhere. */
export function randomSource(seed: number = Math.floor(Math.random() * 2 ** 32)): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
