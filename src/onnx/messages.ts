/**
 * The messages of an .onnx file, as far as we read them, on a library's wire reader. What tensors hold as raw bytes stays where it is, so of a file
 * of a few hundred megabytes a few hundred kilobytes are read. Field numbers: onnx.proto of the ONNX project.
 */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { Bytes } from "../core/bytes.js";
import { ModelFormatError } from "../core/errors.js";

export interface TensorProto {
  dims: number[];
  dataType: number;
  floatData: number[];
  int32Data: number[];
  int64Data: bigint[];
  name: string;
  rawData?: Bytes | Uint8Array;
  doubleData: number[];
  uint64Data: bigint[];
  externalData: { key: string; value: string }[];
  dataLocation: number;
}

export interface AttributeProto {
  name: string;
  f: number;
  i: bigint;
  s: Uint8Array;
  t?: TensorProto;
  floats: number[];
  ints: bigint[];
  strings: Uint8Array[];
  type: number;
}

export interface NodeProto {
  input: string[];
  output: string[];
  name: string;
  opType: string;
  attribute: AttributeProto[];
  domain: string;
}

export interface DimensionProto {
  dimValue?: number;
  dimParam?: string;
}

export interface ValueInfoProto {
  name: string;
  type?: { tensorType?: { elemType: number; shape?: { dim: DimensionProto[] } } };
}

export interface GraphProto {
  node: NodeProto[];
  name: string;
  initializer: TensorProto[];
  sparseInitializer: unknown[];
  input: ValueInfoProto[];
  output: ValueInfoProto[];
}

export interface ModelProto {
  irVersion: number;
  producerName: string;
  graph?: GraphProto;
  opsetImport: { domain: string; version: number }[];
}

type Scalar = "string" | "bytes" | "place" | "int" | "bigint" | "ubigint" | "float" | "double";

/** One field: what it is called, how it is read, whether it repeats. Messages nest by their schema. */
interface Field {
  readonly name: string;
  readonly kind: Scalar | Schema;
  readonly repeated?: boolean;
}

type Schema = Readonly<Record<number, Field>>;

const one = (name: string, kind: Scalar | Schema): Field => ({ name, kind });
const many = (name: string, kind: Scalar | Schema): Field => ({ name, kind, repeated: true });

const tensorSchema: Schema = {
  1: many("dims", "int"),
  2: one("dataType", "int"),
  4: many("floatData", "float"),
  5: many("int32Data", "int"),
  7: many("int64Data", "bigint"),
  8: one("name", "string"),
  9: one("rawData", "place"),
  10: many("doubleData", "double"),
  11: many("uint64Data", "ubigint"),
  13: many("externalData", { 1: one("key", "string"), 2: one("value", "string") }),
  14: one("dataLocation", "int"),
};

const attributeSchema: Schema = {
  1: one("name", "string"),
  2: one("f", "float"),
  3: one("i", "bigint"),
  4: one("s", "bytes"),
  5: one("t", tensorSchema),
  7: many("floats", "float"),
  8: many("ints", "bigint"),
  9: many("strings", "bytes"),
  20: one("type", "int"),
};

const nodeSchema: Schema = {
  1: many("input", "string"),
  2: many("output", "string"),
  3: one("name", "string"),
  4: one("opType", "string"),
  5: many("attribute", attributeSchema),
  7: one("domain", "string"),
};

const valueInfoSchema: Schema = {
  1: one("name", "string"),
  2: one("type", {
    1: one("tensorType", {
      1: one("elemType", "int"),
      2: one("shape", {
        1: many("dim", { 1: one("dimValue", "int"), 2: one("dimParam", "string") }),
      }),
    }),
  }),
};

const graphSchema: Schema = {
  1: many("node", nodeSchema),
  2: one("name", "string"),
  5: many("initializer", tensorSchema),
  11: many("input", valueInfoSchema),
  12: many("output", valueInfoSchema),
  15: many("sparseInitializer", {}),
};

const modelSchema: Schema = {
  1: one("irVersion", "int"),
  2: one("producerName", "string"),
  7: one("graph", graphSchema),
  8: many("opsetImport", { 1: one("domain", "string"), 2: one("version", "int") }),
};

/** What a field holds when the file does not have it. */
function emptyValue({ kind, repeated }: Field): unknown {
  if (repeated) return [];
  if (typeof kind !== "string" || kind === "bytes" || kind === "place") return undefined;
  return kind === "string" ? "" : kind === "bigint" || kind === "ubigint" ? 0n : 0;
}

function readScalar(reader: BinaryReader, kind: Scalar): unknown {
  switch (kind) {
    case "int":
      return Number(reader.int64());
    case "bigint":
      return BigInt(reader.int64());
    case "ubigint":
      return BigInt(reader.uint64());
    case "float":
      return reader.float();
    case "double":
      return reader.double();
    default:
      throw new RangeError("a number in the place of bytes");
  }
}

/** Sizes and dimensions left at 0 in a file are not there; these fields tell the two apart. */
const OPTIONAL = new Set(["dimValue", "dimParam"]);

/** Bytes read at once, and the most that a tag with a number after it takes. */
const WINDOW = 64 * 1024;
const MOST_SCALAR = 32;

const text = new TextDecoder();

/** Walks through messages, with a window of their bytes in memory. */
class MessageReader {
  private window: Uint8Array = new Uint8Array(0);
  private reader = new BinaryReader(this.window);
  /** Of the window. */
  private start = 0;

  constructor(private readonly bytes: Bytes) {}

  /** Where the next byte would be read. */
  get offset(): number {
    return this.start + this.reader.pos;
  }

  /** The message between two offsets. */
  read(begin: number, end: number, schema: Schema): Record<string, unknown> {
    const message: Record<string, unknown> = {};
    for (const field of Object.values(schema))
      if (!OPTIONAL.has(field.name)) message[field.name] = emptyValue(field);
    for (let at = begin; at < end; ) {
      const reader = this.at(at, MOST_SCALAR);
      const [number, wireType] = reader.tag();
      const field = schema[number];
      if (wireType === WireType.LengthDelimited) {
        const length = reader.uint32();
        const from = this.offset;
        at = from + length;
        if (at > end) throw new RangeError("a field runs past the end of its message");
        if (field) add(message, field, this.readDelimited(from, at, field));
      } else {
        if (field) add(message, field, [readScalar(reader, field.kind as Scalar)]);
        else reader.skip(wireType, number);
        at = this.offset;
      }
      if (at > end) throw new RangeError("a field runs past the end of its message");
    }
    return message;
  }

  /** What a field with a length holds: one value, or the numbers of a list. */
  private readDelimited(from: number, until: number, { kind }: Field): unknown[] {
    if (typeof kind === "object") return [this.read(from, until, kind)];
    if (kind === "place") return [this.bytes.slice(from, until - from)];
    const reader = this.at(from, until - from);
    const end = reader.pos + until - from;
    if (kind === "string") return [text.decode(this.window.subarray(reader.pos, end))];
    if (kind === "bytes") return [this.window.slice(reader.pos, end)];
    const list: unknown[] = [];
    while (reader.pos < end) list.push(readScalar(reader, kind));
    return list;
  }

  /** A reader at an offset, with so many bytes in memory from there on, or all that there are. */
  private at(offset: number, length: number): BinaryReader {
    const until = Math.min(offset + length, this.bytes.length);
    if (offset < this.start || until > this.start + this.window.length) {
      const size = Math.min(Math.max(length, WINDOW), this.bytes.length - offset);
      this.window = this.bytes.read(offset, size);
      this.reader = new BinaryReader(this.window);
      this.start = offset;
    }
    this.reader.pos = offset - this.start;
    return this.reader;
  }
}

function add(message: Record<string, unknown>, field: Field, values: readonly unknown[]): void {
  const { name, repeated } = field;
  if (!repeated) message[name] = values.at(-1);
  else for (const value of values) (message[name] as unknown[]).push(value);
}

function decode(bytes: Bytes, schema: Schema, what: string): unknown {
  const reader = new MessageReader(bytes);
  try {
    return reader.read(0, bytes.length, schema);
  } catch (error) {
    throw new ModelFormatError(
      `onnx: expected ${what}, got damaged bytes near offset ${reader.offset} of ${bytes.length} (${(error as Error).message}); is the file whole?`,
      { cause: error },
    );
  }
}

/** The model of an .onnx file. @throws {ModelFormatError} if the bytes are not one */
export const decodeModel = (bytes: Uint8Array | Bytes): ModelProto =>
  decode(Bytes.of(bytes), modelSchema, "a model") as ModelProto;

/** One tensor, as ONNX's test data hold them. @throws {ModelFormatError} */
export const decodeTensor = (bytes: Uint8Array): TensorProto =>
  decode(Bytes.of(bytes), tensorSchema, "a tensor") as TensorProto;
