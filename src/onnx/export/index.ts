/** toOnnx: a model of ours as an .onnx file, for other runtimes and for keeping. */
import { writeFileSync } from "node:fs";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { compile, type Model } from "../../compile.js";
import type { DType } from "../../core/dtype.js";
import { expected, OptionError, show, UnsupportedOperatorError } from "../../core/errors.js";
import { checkOptions, readBoolean } from "../../core/options.js";
import { Tensor } from "../../core/tensor.js";
import type { Graph, Node, Value } from "../../graph/graph.js";
import { Network } from "../../network.js";
import { type AttributeValue, activationNode, type Exported, exporters } from "./operators.js";

export interface ToOnnxOptions {
  /** Also writes the file there. */
  readonly path?: string;
  /** Lets the first axis of inputs and outputs be of any size; default false. */
  readonly dynamicBatch?: boolean;
}

const OPSET = 20;
const IR_VERSION = 9;
/** TensorProto.DataType */
const ELEMENT: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
};

/**
 * Writes a model as ONNX (opset 20), as it stands: nothing is fused.
 *
 * @param model    a layer or function of tensors, exported as eval() would have it; or a Network
 * @param example  an input, or an array of them; for a Network feeds by name, where sizes are free
 * @returns the bytes of the file
 * @throws {UnsupportedOperatorError} for an op that ONNX does not have, with its name
 * @example toOnnx(lenet, Tensor.zeros([1, 1, 28, 28]), { path: "lenet.onnx", dynamicBatch: true })
 */
export function toOnnx(
  model: Model | Network,
  example?: Tensor | readonly Tensor[] | Readonly<Record<string, Tensor>>,
  options: ToOnnxOptions = {},
): Uint8Array {
  checkOptions("toOnnx", options, ["path", "dynamicBatch"]);
  const dynamic = readBoolean("toOnnx", "dynamicBatch", options.dynamicBatch ?? false);
  const examples = example instanceof Tensor ? [example] : example;
  let network: Network;
  if (model instanceof Network) network = model;
  else {
    if (!Array.isArray(examples))
      throw new OptionError(expected("toOnnx", "an example input of the model", show(example)));
    network = compile(model, examples as Tensor[], { backend: "reference" });
  }
  const feeds = Object.fromEntries(
    network.inputs.map(({ name, dtype, shape }, i) => {
      const given = Array.isArray(examples)
        ? examples[i]
        : (examples as Record<string, Tensor> | undefined)?.[name];
      if (given === undefined && !shape.every((n) => typeof n === "number"))
        throw new OptionError(
          expected("toOnnx", `an example of input "${name}" (${shape.join(", ")})`, "none"),
        );
      return [name, given ?? Tensor.zeros(shape as number[], dtype)];
    }),
  );
  const bytes = new Exporter(network.graph(feeds), dynamic).model();
  if (options.path !== undefined) writeFileSync(options.path, bytes);
  return bytes;
}

const sub = (w: BinaryWriter, field: number, fill: (w: BinaryWriter) => void): void => {
  w.tag(field, WireType.LengthDelimited).fork();
  fill(w);
  w.join();
};
const text = (w: BinaryWriter, field: number, value: string): BinaryWriter =>
  w.tag(field, WireType.LengthDelimited).string(value);
const int = (w: BinaryWriter, field: number, value: number): BinaryWriter =>
  w.tag(field, WireType.Varint).int64(value);

class Exporter {
  private readonly nodes: ((w: BinaryWriter) => void)[] = [];
  private readonly initializers: ((w: BinaryWriter) => void)[] = [];
  private readonly written = new Set<string>();
  private made = 0;

  constructor(
    private readonly graph: Graph,
    private readonly dynamic: boolean,
  ) {
    for (const node of graph.nodes) this.node(node);
    // An output may be an input, a constant, or have another name outside.
    for (const { name, value } of graph.outputs) {
      if (value.constant) this.tensor(value.name, value.constant);
      if (name !== value.name) this.write("Identity", [value.name], [name], {});
    }
  }

  model(): Uint8Array {
    const w = new BinaryWriter();
    int(w, 1, IR_VERSION);
    text(w, 2, "xcorr");
    sub(w, 7, (g) => {
      for (const node of this.nodes) sub(g, 1, node);
      text(g, 2, "graph");
      for (const initializer of this.initializers) sub(g, 5, initializer);
      for (const value of this.graph.inputs)
        sub(g, 11, (v) => this.valueInfo(v, value.name, value));
      for (const { name, value } of this.graph.outputs)
        sub(g, 12, (v) => this.valueInfo(v, name, value));
    });
    sub(w, 8, (o) => int(o, 2, OPSET));
    return w.finish();
  }

  private valueInfo(w: BinaryWriter, name: string, { type }: Value): void {
    text(w, 1, name);
    sub(w, 2, (t) =>
      sub(t, 1, (tensor) => {
        int(tensor, 1, ELEMENT[type.dtype]);
        sub(tensor, 2, (shape) => {
          type.shape.forEach((size, axis) => {
            sub(shape, 1, (dim) =>
              this.dynamic && axis === 0 ? text(dim, 2, "N") : int(dim, 1, size),
            );
          });
        });
      }),
    );
  }

  /** A constant, once. */
  private tensor(name: string, tensor: Tensor): string {
    if (this.written.has(name)) return name;
    this.written.add(name);
    this.initializers.push((w) => {
      sub(w, 1, (dims) => {
        for (const size of tensor.shape) dims.int64(size);
      });
      int(w, 2, ELEMENT[tensor.dtype]);
      text(w, 8, name);
      const { buffer, byteOffset, byteLength } = tensor.data;
      w.tag(9, WireType.LengthDelimited).bytes(new Uint8Array(buffer, byteOffset, byteLength));
    });
    return name;
  }

  private node(node: Node): void {
    const { activation, residual } = node.attrs as {
      activation?: Parameters<typeof activationNode>[0];
      residual?: boolean;
    };
    const row = exporters[node.op.name]?.(node.attrs, node);
    if (!row || residual)
      throw new UnsupportedOperatorError(
        expected(
          "toOnnx",
          "ops that ONNX has",
          `${node.op.name} ${JSON.stringify(node.attrs)} at "${node.name}"`,
        ),
      );
    const inputs = node.inputs.map((value) =>
      value.constant ? this.tensor(value.name, value.constant) : value.name,
    );
    for (const constant of this.batched(node, row).constants ?? [])
      inputs.push(constant === "" ? "" : this.tensor(this.newName(node), constant));
    while (inputs[inputs.length - 1] === "") inputs.pop();
    const outputs = node.outputs.map(({ name }) => name);
    if (!activation) {
      this.emit(row, inputs, outputs, node);
      return;
    }
    const between = this.newName(node);
    this.emit(row, inputs, [between], node);
    const { op, attrs } = activationNode(activation);
    const after = exporters[op](attrs, node) as Exported;
    const extra = (after.constants ?? []).map((c) =>
      c === "" ? "" : this.tensor(this.newName(node), c),
    );
    this.emit(after, [between, ...extra], outputs, node);
  }

  /** Writes an operator, or the three that a gate takes. */
  private emit(
    row: Exported,
    inputs: readonly string[],
    outputs: readonly string[],
    node: Node,
  ): void {
    if (row.gate === undefined) {
      this.write(row.opType, inputs, outputs, row.attributes ?? {});
      return;
    }
    const [x] = inputs;
    const [scaled, gate] = [this.newName(node), this.newName(node)];
    this.write(
      "Mul",
      [x, this.tensor(this.newName(node), Tensor.full([], row.gate))],
      [scaled],
      {},
    );
    this.write(row.opType, [scaled], [gate], {});
    this.write("Mul", [x, gate], outputs, {});
  }

  /** With a free batch, a reshape that keeps the first axis says so: 0 copies its size. */
  private batched(node: Node, row: Exported): Exported {
    if (!this.dynamic || row.opType !== "Reshape") return row;
    const { shape } = node.attrs as { shape: readonly number[] };
    if (shape[0] !== node.inputs[0].type.shape[0]) return row;
    return {
      ...row,
      constants: [
        new Tensor(BigInt64Array.from([0n, ...shape.slice(1).map(BigInt)]), [shape.length]),
      ],
    };
  }

  private newName(node: Node): string {
    return `${node.outputs[0].name}/made${this.made++}`;
  }

  private write(
    opType: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>>,
  ): void {
    this.nodes.push((w) => {
      for (const input of inputs) text(w, 1, input);
      for (const output of outputs) text(w, 2, output);
      text(w, 3, outputs[0]);
      text(w, 4, opType);
      for (const [name, value] of Object.entries(attributes))
        sub(w, 5, (a) => writeAttribute(a, name, value));
    });
  }
}

/** AttributeProto, with its type: 1 float, 2 int, 3 string, 6 floats, 7 ints. */
function writeAttribute(w: BinaryWriter, name: string, value: AttributeValue): void {
  text(w, 1, name);
  let type: number;
  if (typeof value === "number") {
    int(w, 3, value);
    type = 2;
  } else if (typeof value === "string") {
    text(w, 4, value);
    type = 3;
  } else if ("float" in value) {
    w.tag(2, WireType.Bit32).float(value.float);
    type = 1;
  } else if ("floats" in value) {
    for (const f of value.floats) w.tag(7, WireType.Bit32).float(f);
    type = 6;
  } else {
    for (const i of value as readonly number[]) int(w, 8, i);
    type = 7;
  }
  int(w, 20, type);
}
