/**
 * Graph: a network for one set of input shapes, in SSA form. Values are made once, by an input, a constant or a node; nodes are
 * kept in an order in which they can run. Every value's type is concrete, since every node's types come from its op's infer.
 *
 * A model whose sizes are symbolic gives one Graph per set of input shapes (see GraphSource).
 */
import type { Layout } from "../core/backend.js";
import { expected, ShapeError } from "../core/errors.js";
import type { OpDef, TensorType } from "../core/op.js";
import { sameShape } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";

/** One tensor of the graph. */
export class Value {
  /** The node that makes it; undefined for inputs and constants. */
  producer: Node | undefined;
  /** The nodes that read it, in no order; Graph keeps them. */
  readonly readers = new Set<Node>();
  /** How its memory is laid out; the shape stays the logical one. assignLayout decides. */
  layout: Layout = "plain";
  /** The name is the model's, not made up. */
  named = false;

  constructor(
    /** Unique in its graph; see Graph.rename. */
    public name: string,
    readonly type: TensorType,
    /** Its data, if it never changes. */
    readonly constant?: Tensor,
  ) {}
}

/** One application of an op. */
export interface Node {
  readonly name: string;
  readonly op: OpDef;
  readonly attrs: object;
  /** Changed by Graph.setInputs only. */
  inputs: readonly Value[];
  readonly outputs: Value[];
}

/** What a model says of an input or output: a symbolic size is a string. */
export interface ValueInfo {
  readonly name: string;
  readonly dtype: TensorType["dtype"];
  readonly shape: readonly (number | string)[];
}

/** Where a Network gets its graphs from: an ONNX model, or a traced function. */
export interface GraphSource {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /**
   * The graph for inputs of these types. `baked` lists the inputs whose data, not only type, shaped it (a Reshape's target given
   * as an input): the graph holds for that data only.
   */
  build(inputs: readonly Tensor[]): { graph: Graph; baked: readonly number[] };
}

export class Graph {
  readonly inputs: Value[] = [];
  /** Results in order; the name is the caller's, the value may have another. */
  outputs: { name: string; value: Value }[] = [];
  nodes: Node[] = [];
  /** More names that callers may know values by: a model's identities name a value twice. */
  readonly aliases = new Map<string, Value>();
  private readonly names = new Set<string>();

  input(name: string, type: TensorType): Value {
    const value = new Value(this.uniqueName(name), type);
    value.named = true;
    this.inputs.push(value);
    return value;
  }

  constant(tensor: Tensor, name = "constant"): Value {
    return new Value(this.uniqueName(name), { dtype: tensor.dtype, shape: tensor.shape }, tensor);
  }

  /**
   * Adds a node at the end: infers the types of its outputs and returns them.
   *
   * @param names  names of the outputs; made from the op's where absent or taken
   * @throws {ShapeError} from the op, if the inputs do not fit
   */
  add<Attrs extends object>(
    op: OpDef<Attrs>,
    inputs: readonly Value[],
    attrs: Attrs,
    names: readonly string[] = [],
    nodeName = names[0] ?? op.name,
  ): Value[] {
    const node = this.makeNode(op, inputs, attrs, names, nodeName);
    this.nodes.push(node);
    return node.outputs;
  }

  /** Like add, in front of another node. */
  insertBefore<Attrs extends object>(
    next: Node,
    op: OpDef<Attrs>,
    inputs: readonly Value[],
    attrs: Attrs,
    names: readonly string[] = [],
  ): Value[] {
    const node = this.makeNode(op, inputs, attrs, names, names[0] ?? op.name);
    this.nodes.splice(this.nodes.indexOf(next), 0, node);
    return node.outputs;
  }

  /**
   * Puts a node that computes the same outputs in the place of another. The new node makes the old one's Value objects, so their
   * readers and names stay.
   */
  replace<Attrs extends object>(
    old: Node,
    op: OpDef<Attrs>,
    inputs: readonly Value[],
    attrs: Attrs,
  ): Node {
    const node: Node = {
      name: old.name,
      op: op as OpDef,
      attrs,
      inputs: [...inputs],
      outputs: old.outputs,
    };
    const types = op.infer(
      inputs.map((v) => v.type),
      attrs,
    );
    types.forEach((type, i) => {
      const have = old.outputs[i]?.type;
      if (have === undefined || have.dtype !== type.dtype || !sameShape(have.shape, type.shape)) {
        throw new ShapeError(
          expected(
            `graph.replace of ${old.name}`,
            `${have?.dtype} (${have?.shape})`,
            `${type.dtype} (${type.shape}) from ${op.name}`,
          ),
        );
      }
    });
    for (const value of old.inputs) value.readers.delete(old);
    for (const value of node.inputs) value.readers.add(node);
    for (const output of node.outputs) output.producer = node;
    this.nodes[this.nodes.indexOf(old)] = node;
    return node;
  }

  /** Makes a node read other values. */
  setInputs(node: Node, inputs: readonly Value[]): void {
    for (const value of node.inputs) value.readers.delete(node);
    for (const value of inputs) value.readers.add(node);
    node.inputs = inputs;
  }

  /** Makes every reader of `old`, outputs of the graph included, read `by`. */
  redirect(old: Value, by: Value): void {
    const replaced = (value: Value): Value => (value === old ? by : value);
    for (const node of [...old.readers]) this.setInputs(node, node.inputs.map(replaced));
    for (const output of this.outputs) if (output.value === old) output.value = by;
  }

  /** Takes a node out. Its outputs must have no reader left. */
  remove(node: Node): void {
    for (const value of node.inputs) value.readers.delete(node);
    this.nodes.splice(this.nodes.indexOf(node), 1);
  }

  /** Gives a value the name that the model has for it; where it has a name of the model's already, the new one is an alias. */
  rename(value: Value, name: string): void {
    if (this.names.has(name) || value.named) {
      this.aliases.set(name, value);
      return;
    }
    this.names.delete(value.name);
    this.names.add(name);
    value.name = name;
    value.named = true;
  }

  isOutput(value: Value): boolean {
    return this.outputs.some((output) => output.value === value);
  }

  /** Whether one node reads a value, and nothing else does. */
  isReadOnce(value: Value): boolean {
    return value.readers.size === 1 && !this.isOutput(value);
  }

  /** Every value, by name: inputs, constants that something reads, results. */
  values(): Map<string, Value> {
    const result = new Map<string, Value>();
    const see = (value: Value) => result.set(value.name, value);
    for (const value of this.inputs) see(value);
    for (const node of this.nodes) {
      for (const value of node.inputs) see(value);
      for (const value of node.outputs) see(value);
    }
    for (const { value } of this.outputs) see(value);
    return result;
  }

  private makeNode<Attrs extends object>(
    op: OpDef<Attrs>,
    inputs: readonly Value[],
    attrs: Attrs,
    names: readonly string[],
    nodeName: string,
  ): Node {
    const types = op.infer(
      inputs.map((v) => v.type),
      attrs,
    );
    const outputs = types.map(
      (type, i) => new Value(this.uniqueName(names[i] ?? `${op.name}${i || ""}`), type),
    );
    const node: Node = { name: nodeName, op: op as OpDef, attrs, inputs: [...inputs], outputs };
    for (const value of inputs) value.readers.add(node);
    for (const output of outputs) output.producer = node;
    return node;
  }

  private uniqueName(wanted: string): string {
    let name = wanted;
    for (let i = 2; this.names.has(name); i++) name = `${wanted}_${i}`;
    this.names.add(name);
    return name;
  }
}
