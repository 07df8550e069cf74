/**
 * The messages of an .onnx file, as far as we read them, on a library's wire reader. Many raw bytes of a tensor stay where they are, so of a file
 * of a few hundred megabytes a few hundred kilobytes are read. Field numbers: onnx.proto of the ONNX project.
 */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { Bytes, MANY_BYTES } from "../core/bytes.js";
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
  s?: Uint8Array;
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

export interface ShapeProto {
  dim: DimensionProto[];
}

export interface TensorTypeProto {
  elemType: number;
  shape?: ShapeProto;
}

export interface ValueInfoProto {
  name: string;
  type?: { tensorType?: TensorTypeProto };
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

interface Schema {
  /** A message as it is when none of its fields is in the file. */
  readonly empty: () => object;
  readonly fields: Readonly<Record<number, Field>>;
}

const one = (name: string, kind: Scalar | Schema): Field => ({ name, kind });
const many = (name: string, kind: Scalar | Schema): Field => ({ name, kind, repeated: true });

/** `Message` has the compiler see that no field is left out. */
const schema = <Message extends object>(
  empty: () => Message,
  fields: Readonly<Record<number, Field>>,
): Schema => ({ empty, fields });

const tensorSchema = schema<TensorProto>(
  () => ({
    dims: [],
    dataType: 0,
    floatData: [],
    int32Data: [],
    int64Data: [],
    name: "",
    rawData: undefined,
    doubleData: [],
    uint64Data: [],
    externalData: [],
    dataLocation: 0,
  }),
  {
    1: many("dims", "int"),
    2: one("dataType", "int"),
    4: many("floatData", "float"),
    5: many("int32Data", "int"),
    7: many("int64Data", "bigint"),
    8: one("name", "string"),
    9: one("rawData", "place"),
    10: many("doubleData", "double"),
    11: many("uint64Data", "ubigint"),
    13: many(
      "externalData",
      schema<TensorProto["externalData"][number]>(() => ({ key: "", value: "" }), {
        1: one("key", "string"),
        2: one("value", "string"),
      }),
    ),
    14: one("dataLocation", "int"),
  },
);

const attributeSchema = schema<AttributeProto>(
  () => ({
    name: "",
    f: 0,
    i: 0n,
    s: undefined,
    t: undefined,
    floats: [],
    ints: [],
    strings: [],
    type: 0,
  }),
  {
    1: one("name", "string"),
    2: one("f", "float"),
    3: one("i", "bigint"),
    4: one("s", "bytes"),
    5: one("t", tensorSchema),
    7: many("floats", "float"),
    8: many("ints", "bigint"),
    9: many("strings", "bytes"),
    20: one("type", "int"),
  },
);

const nodeSchema = schema<NodeProto>(
  () => ({ input: [], output: [], name: "", opType: "", attribute: [], domain: "" }),
  {
    1: many("input", "string"),
    2: many("output", "string"),
    3: one("name", "string"),
    4: one("opType", "string"),
    5: many("attribute", attributeSchema),
    7: one("domain", "string"),
  },
);

const shapeSchema = schema<ShapeProto>(() => ({ dim: [] }), {
  1: many(
    "dim",
    schema<DimensionProto>(() => ({}), { 1: one("dimValue", "int"), 2: one("dimParam", "string") }),
  ),
});

const tensorTypeSchema = schema<TensorTypeProto>(() => ({ elemType: 0 }), {
  1: one("elemType", "int"),
  2: one("shape", shapeSchema),
});

const valueInfoSchema = schema<ValueInfoProto>(() => ({ name: "" }), {
  1: one("name", "string"),
  2: one(
    "type",
    schema<NonNullable<ValueInfoProto["type"]>>(() => ({}), {
      1: one("tensorType", tensorTypeSchema),
    }),
  ),
});

const graphSchema = schema<GraphProto>(
  () => ({ node: [], name: "", initializer: [], sparseInitializer: [], input: [], output: [] }),
  {
    1: many("node", nodeSchema),
    2: one("name", "string"),
    5: many("initializer", tensorSchema),
    11: many("input", valueInfoSchema),
    12: many("output", valueInfoSchema),
    15: many(
      "sparseInitializer",
      schema(() => ({}), {}),
    ),
  },
);

const modelSchema = schema<ModelProto>(
  () => ({ irVersion: 0, producerName: "", graph: undefined, opsetImport: [] }),
  {
    1: one("irVersion", "int"),
    2: one("producerName", "string"),
    7: one("graph", graphSchema),
    8: many(
      "opsetImport",
      schema<ModelProto["opsetImport"][number]>(() => ({ domain: "", version: 0 }), {
        1: one("domain", "string"),
        2: one("version", "int"),
      }),
    ),
  },
);

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

/** Bytes read at once, and the most that a tag with a number after it takes. */
const WINDOW = 64 * 1024;
const MOST_SCALAR = 32;

type Message = Record<string, unknown>;

/** Walks through messages, with a window of their bytes in memory. */
class MessageReader {
  private window: Buffer = Buffer.alloc(0);
  private reader = new BinaryReader(this.window);
  /** What windows of this size are read into. */
  private readonly memory = new Uint8Array(WINDOW);
  /** Of the window. */
  private start = 0;

  constructor(private readonly bytes: Bytes) {}

  /** Where the next byte would be read. */
  get offset(): number {
    return this.start + this.reader.pos;
  }

  /** The message between two offsets. */
  read(begin: number, end: number, { empty, fields }: Schema): object {
    const message = empty() as Message;
    for (let at = begin; at < end; ) {
      const reader = this.at(at, MOST_SCALAR);
      const [number, wireType] = reader.tag();
      const field = fields[number];
      if (wireType === WireType.LengthDelimited) {
        const length = reader.uint32();
        const from = this.offset;
        at = from + length;
        if (at > end) throw new RangeError("a field runs past the end of its message");
        if (field) this.takeDelimited(message, field, from, at);
      } else {
        if (field) take(message, field, readScalar(reader, field.kind as Scalar));
        else reader.skip(wireType, number);
        at = this.offset;
      }
      if (at > end) throw new RangeError("a field runs past the end of its message");
    }
    return message;
  }

  /** Takes what a field with a length holds: one value, or the numbers of a list. */
  private takeDelimited(message: Message, field: Field, from: number, until: number): void {
    const { kind } = field;
    if (typeof kind === "object") {
      take(message, field, this.read(from, until, kind));
    } else if (kind === "place" && until - from >= MANY_BYTES) {
      take(message, field, this.bytes.slice(from, until - from));
    } else {
      const reader = this.at(from, until - from);
      const end = reader.pos + until - from;
      if (kind === "string") take(message, field, this.window.toString("utf8", reader.pos, end));
      else if (kind === "bytes" || kind === "place")
        take(message, field, new Uint8Array(this.window.subarray(reader.pos, end)));
      else while (reader.pos < end) take(message, field, readScalar(reader, kind));
    }
  }

  /** A reader at an offset, with so many bytes in memory from there on, or all that there are. */
  private at(offset: number, length: number): BinaryReader {
    const until = Math.min(offset + length, this.bytes.length);
    if (offset < this.start || until > this.start + this.window.length) {
      const size = Math.min(Math.max(length, WINDOW), this.bytes.length - offset);
      const { buffer, byteOffset } = this.bytes.read(offset, size, this.memory);
      this.window = Buffer.from(buffer, byteOffset, size);
      this.reader = new BinaryReader(this.window);
      this.start = offset;
    }
    this.reader.pos = offset - this.start;
    return this.reader;
  }
}

function take(message: Message, { name, repeated }: Field, value: unknown): void {
  if (repeated) (message[name] as unknown[]).push(value);
  else message[name] = value;
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
