/**
 * The messages of an .onnx file, as far as we read them, on a library's wire reader. Bytes are views on the file, not copies.
 * Field numbers: onnx.proto of the ONNX project.
 */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { ModelFormatError } from "../core/errors.js";

export interface TensorProto {
  dims: number[];
  dataType: number;
  floatData: number[];
  int32Data: number[];
  int64Data: bigint[];
  name: string;
  rawData?: Uint8Array;
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

type Scalar = "string" | "bytes" | "int" | "bigint" | "ubigint" | "float" | "double";

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
  9: one("rawData", "bytes"),
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
  if (typeof kind !== "string" || kind === "bytes") return undefined;
  return kind === "string" ? "" : kind === "bigint" || kind === "ubigint" ? 0n : 0;
}

function readScalar(reader: BinaryReader, kind: Scalar): unknown {
  switch (kind) {
    case "string":
      return reader.string();
    case "bytes":
      return reader.bytes();
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
  }
}

/** Sizes and dimensions left at 0 in a file are not there; these fields tell the two apart. */
const OPTIONAL = new Set(["dimValue", "dimParam"]);

function readMessage(reader: BinaryReader, end: number, schema: Schema): Record<string, unknown> {
  const message: Record<string, unknown> = {};
  for (const field of Object.values(schema))
    if (!OPTIONAL.has(field.name)) message[field.name] = emptyValue(field);
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    const field = schema[number];
    if (field === undefined) {
      reader.skip(wireType, number);
      continue;
    }
    const list = field.repeated ? (message[field.name] as unknown[]) : undefined;
    const { kind } = field;
    if (typeof kind === "object") {
      const until = nestedEnd(reader, end);
      const nested = readMessage(reader, until, kind);
      if (list) list.push(nested);
      else message[field.name] = nested;
    } else if (
      list &&
      wireType === WireType.LengthDelimited &&
      kind !== "string" &&
      kind !== "bytes"
    ) {
      const until = nestedEnd(reader, end);
      while (reader.pos < until) list.push(readScalar(reader, kind));
    } else {
      const value = readScalar(reader, kind);
      if (list) list.push(value);
      else message[field.name] = value;
    }
  }
  if (reader.pos !== end) throw new RangeError("a field runs past the end of its message");
  return message;
}

function nestedEnd(reader: BinaryReader, end: number): number {
  const length = reader.uint32();
  const until = reader.pos + length;
  if (until > end) throw new RangeError("a message runs past the end of the one around it");
  return until;
}

function decode(bytes: Uint8Array, schema: Schema, what: string): unknown {
  const reader = new BinaryReader(bytes);
  try {
    return readMessage(reader, bytes.length, schema);
  } catch (error) {
    throw new ModelFormatError(
      `onnx: expected ${what}, got damaged bytes near offset ${reader.pos} of ${bytes.length} (${(error as Error).message}); is the file whole?`,
      { cause: error },
    );
  }
}

/** The model of an .onnx file. @throws {ModelFormatError} if the bytes are not one */
export const decodeModel = (bytes: Uint8Array): ModelProto =>
  decode(bytes, modelSchema, "a model") as ModelProto;

/** One tensor, as ONNX's test data hold them. @throws {ModelFormatError} */
export const decodeTensor = (bytes: Uint8Array): TensorProto =>
  decode(bytes, tensorSchema, "a tensor") as TensorProto;
