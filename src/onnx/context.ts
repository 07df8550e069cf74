/** NodeContext: what an operator's converter works with, one node at a time: its inputs, its attributes, and the graph to add to. */
import { expected, ModelFormatError, show, UnsupportedOperatorError } from "../core/errors.js";
import type { OpDef } from "../core/op.js";
import { sizeOf } from "../core/shape.js";
import { Tensor } from "../core/tensor.js";
import type { Graph, Value } from "../graph/graph.js";
import type { AttributeProto, NodeProto } from "./messages.js";
import { type Folder, toTensor } from "./tensors.js";

/** Turns one ONNX node into nodes of ours; the values of its outputs, in order (undefined: an output that nobody may read). */
export type Converter = (node: NodeContext) => readonly (Value | undefined)[];

/** Thrown to start a build again with the data of these graph inputs known. */
export class NeedsData extends Error {
  constructor(readonly inputs: readonly Value[]) {
    super("the graph depends on the data of its inputs");
  }
}

/** Results up to this size are computed at once when all inputs are constants: it is how shapes are worked out. */
const FOLD_BYTES = 64 * 1024;
/** Inputs whose data may shape a graph: shapes, axes, scales; not images. */
const MAX_BAKED = 4096;
/** Most bytes of constants that a model may have us make (ConstantOfShape and its kin). */
const MAX_MADE_BYTES = 2 ** 30;

const text = new TextDecoder();

export class NodeContext {
  constructor(
    readonly graph: Graph,
    readonly node: NodeProto,
    readonly opset: number,
    private readonly values: readonly (Value | undefined)[],
    private readonly budget: { bytes: number },
    readonly folder: Folder | undefined,
  ) {}

  /** For messages: `Conv at node "/stem/Conv" (opset 13)`. */
  get place(): string {
    return `at node ${show(this.node.name || this.node.output[0] || "")} (opset ${this.opset})`;
  }

  /** An error about this node: what was expected of which part of it. */
  unsupported(what: string, got: string): UnsupportedOperatorError {
    return new UnsupportedOperatorError(
      expected("onnx", `${this.node.opType} ${what} ${this.place}`, got),
    );
  }

  invalid(what: string, got: string): ModelFormatError {
    return new ModelFormatError(expected("onnx", `${this.node.opType} ${what} ${this.place}`, got));
  }

  get inputCount(): number {
    return this.values.length;
  }

  get outputCount(): number {
    return this.node.output.length;
  }

  /** True if output i has a name, so that somebody may read it. */
  wants(i: number): boolean {
    return Boolean(this.node.output[i]);
  }

  input(i: number): Value {
    const value = this.values[i];
    if (value === undefined)
      throw this.invalid(`with an input ${i}`, `${this.values.length} inputs`);
    return value;
  }

  optional(i: number): Value | undefined {
    return this.values[i];
  }

  inputs(): Value[] {
    return this.values.map((_, i) => this.input(i));
  }

  /** The data of input i, which must be known before the network runs. */
  constant(i: number, what: string): Tensor {
    const value = this.input(i);
    if (value.constant) return value.constant;
    const roots = rootsOf(value);
    if (roots.length > 0 && roots.every((root) => sizeOf(root.type.shape) <= MAX_BAKED))
      throw new NeedsData(roots);
    throw this.unsupported(
      `with a constant ${what} (input ${i}, "${value.name}")`,
      "one that is computed from the network's data",
    );
  }

  optionalConstant(i: number, what: string): Tensor | undefined {
    return this.values[i] && this.constant(i, what);
  }

  /** A constant input as a list of integers. */
  integers(i: number, what: string): number[] {
    return Array.from(this.constant(i, what).data, Number);
  }

  optionalIntegers(i: number, what: string): number[] | undefined {
    return this.values[i] && this.integers(i, what);
  }

  has(name: string): boolean {
    return this.attribute(name) !== undefined;
  }

  int(name: string, fallback?: number): number {
    const attribute = this.attribute(name);
    if (attribute) return Number(attribute.i);
    if (fallback === undefined) throw this.invalid(`with attribute "${name}"`, "none");
    return fallback;
  }

  float(name: string, fallback?: number): number {
    const attribute = this.attribute(name);
    if (attribute) return attribute.f;
    if (fallback === undefined) throw this.invalid(`with attribute "${name}"`, "none");
    return fallback;
  }

  string(name: string, fallback: string): string {
    const s = this.attribute(name)?.s;
    return s ? text.decode(s) : fallback;
  }

  ints(name: string): number[] | undefined {
    return this.attribute(name)?.ints.map(Number);
  }

  floats(name: string): number[] | undefined {
    return this.attribute(name)?.floats;
  }

  tensor(name: string): Tensor | undefined {
    const t = this.attribute(name)?.t;
    return t && toTensor(t, `attribute "${name}" ${this.place}`, this.folder);
  }

  /** A string attribute that must be one of a few. */
  choice<T extends string>(name: string, fallback: T, choices: readonly T[]): T {
    const value = this.string(name, fallback);
    if (!choices.includes(value as T)) {
      throw this.unsupported(`${name} ${choices.map((c) => `"${c}"`).join(" or ")}`, show(value));
    }
    return value as T;
  }

  private attribute(name: string): AttributeProto | undefined {
    return this.node.attribute.find((attribute) => attribute.name === name);
  }

  /** Adds an op; evaluates it at once if all its inputs are constants and the results small. */
  emit<Attrs extends object>(op: OpDef<Attrs>, inputs: readonly Value[], attrs: Attrs): Value[] {
    if (inputs.length > 0 && inputs.every((v) => v.constant)) {
      const types = op.infer(
        inputs.map((v) => v.type),
        attrs,
      );
      const size = [...inputs.map((v) => v.type), ...types].reduce(
        (sum, { shape }) => sum + sizeOf(shape),
        0,
      );
      if (size * 8 <= FOLD_BYTES) {
        const results = types.map(({ dtype, shape }) => Tensor.zeros(shape, dtype));
        op.reference(
          inputs.map((v) => v.constant as Tensor),
          attrs,
          results,
        );
        return results.map((t) => this.graph.constant(t, this.node.output[0]));
      }
    }
    return this.graph.add(op, inputs, attrs, [], this.node.name || this.node.output[0]);
  }

  /** Like emit, for an op of one output. */
  emitOne<Attrs extends object>(op: OpDef<Attrs>, inputs: readonly Value[], attrs: Attrs): Value {
    return this.emit(op, inputs, attrs)[0];
  }

  /** A constant that the model does not hold but says how to make. */
  made(shape: readonly number[], make: () => Tensor): Value {
    if (shape.some((n) => !Number.isSafeInteger(n) || n < 0))
      throw this.invalid("with sizes >= 0", show([...shape]));
    this.budget.bytes -= sizeOf(shape) * 8;
    if (!(this.budget.bytes >= 0)) {
      throw this.unsupported(
        `results of at most ${MAX_MADE_BYTES} bytes in all`,
        `shape ${show([...shape])}`,
      );
    }
    return this.graph.constant(make(), this.node.output[0]);
  }
}

export const newBudget = (): { bytes: number } => ({ bytes: MAX_MADE_BYTES });

/** The graph inputs that a value is computed from. */
function rootsOf(value: Value): Value[] {
  const seen = new Set<Value>();
  const roots: Value[] = [];
  const visit = (v: Value): void => {
    if (seen.has(v) || v.constant) return;
    seen.add(v);
    if (v.producer) v.producer.inputs.forEach(visit);
    else roots.push(v);
  };
  visit(value);
  return roots;
}
