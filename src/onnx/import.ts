/**
 * OnnxModel: the bytes of an .onnx file as a source of graphs. The file is parsed once; a graph is built for each set of input shapes
 * by walking the nodes in order, every value with a concrete type, constants known. What only shapes (Shape, Gather, Concat, ...
 * on small integers) is worked out on the way and leaves no node.
 */
import { Bytes } from "../core/bytes.js";
import type { DType } from "../core/dtype.js";
import {
  expected,
  ModelFormatError,
  show,
  UnsupportedOperatorError,
  XcorrError,
} from "../core/errors.js";
import { nearest } from "../core/options.js";
import type { Tensor } from "../core/tensor.js";
import { Graph, type GraphSource, type Value, type ValueInfo } from "../graph/graph.js";
import { NeedsData, NodeContext, newBudget } from "./context.js";
import {
  decodeModel,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type ValueInfoProto,
} from "./messages.js";
import { operators } from "./operators/index.js";
import { dtypeOfElement, type Folder, toTensor } from "./tensors.js";

/** Domains whose operators are ONNX's own. */
const OWN_DOMAINS = new Set(["", "ai.onnx"]);

export class OnnxModel implements GraphSource {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** Version of ONNX's operator set that the model is written for. */
  readonly opset: number;
  private readonly graph: GraphProto;
  private readonly weights: ReadonlyMap<string, Tensor>;
  private readonly order: readonly NodeProto[];

  /**
   * @param model   the bytes of the file, or its decoded message
   * @param folder  where the file lies, for weights kept in files beside it
   * @throws {ModelFormatError} if the bytes are no model
   * @throws {UnsupportedOperatorError} if it has operators that we do not, all of them named
   */
  constructor(
    model: Bytes | Uint8Array | ModelProto,
    private readonly folder?: Folder,
  ) {
    const isEncoded = model instanceof Bytes || model instanceof Uint8Array;
    const message = isEncoded ? decodeModel(model) : model;
    this.graph = graphOf(message);
    this.opset = opsetOf(message);
    checkOperators(this.graph, this.opset);
    const initializers = this.graph.initializer.map(
      (t) => [t.name, toTensor(t, `weight ${show(t.name)}`, folder)] as const,
    );
    this.weights = new Map(initializers);
    this.inputs = this.graph.input
      .filter(({ name }) => !this.weights.has(name))
      .map((info) => readInfo(info, true));
    this.outputs = this.graph.output.map((info) => readInfo(info, false));
    this.order = inOrder(this.graph.node, [
      ...this.inputs.map(({ name }) => name),
      ...this.weights.keys(),
    ]);
  }

  build(inputs: readonly Tensor[]): { graph: Graph; baked: readonly number[] } {
    const baked = new Set<number>();
    for (;;) {
      try {
        return { graph: this.buildWith(inputs, baked), baked: [...baked] };
      } catch (error) {
        if (!(error instanceof NeedsData)) throw error;
        for (const value of error.inputs)
          baked.add(this.inputs.findIndex(({ name }) => name === value.name));
      }
    }
  }

  private buildWith(inputs: readonly Tensor[], baked: ReadonlySet<number>): Graph {
    const graph = new Graph();
    const values = new Map<string, Value>();
    this.inputs.forEach(({ name }, i) => {
      const { dtype, shape } = inputs[i];
      const input = graph.input(name, { dtype, shape });
      values.set(name, baked.has(i) ? graph.constant(inputs[i].clone(), `${name} (data)`) : input);
    });
    for (const [name, tensor] of this.weights) values.set(name, graph.constant(tensor, name));
    const budget = newBudget();
    for (const node of this.order) this.convert(graph, node, values, budget);
    graph.outputs = this.outputs.map(({ name }) => {
      const value = values.get(name);
      if (value) return { name, value };
      throw new ModelFormatError(
        expected("onnx", `a node that makes output ${show(name)}`, "none"),
      );
    });
    return graph;
  }

  private convert(
    graph: Graph,
    node: NodeProto,
    values: Map<string, Value>,
    budget: { bytes: number },
  ): void {
    const inputs = node.input.map((name) => (name === "" ? undefined : values.get(name)));
    const context = new NodeContext(graph, node, this.opset, inputs, budget, this.folder);
    const results = runConverter(context, node);
    node.output.forEach((name, i) => {
      if (name === "") return;
      const value = results[i];
      if (value === undefined)
        throw context.unsupported(`without output ${i} (${show(name)})`, "a model that reads it");
      graph.rename(value, name);
      values.set(name, value);
    });
  }
}

/** Runs an operator's converter; shape errors gain the node's name, anything unforeseen is a damaged model. */
function runConverter(context: NodeContext, node: NodeProto): readonly (Value | undefined)[] {
  try {
    return operators[node.opType](context);
  } catch (error) {
    if (error instanceof NeedsData) throw error;
    if (error instanceof XcorrError) {
      if (!error.message.startsWith("onnx:"))
        error.message = `onnx: ${node.opType} ${context.place}: ${error.message}`;
      throw error;
    }
    throw new ModelFormatError(
      `onnx: expected a valid ${node.opType} ${context.place}, got ${(error as Error).message}`,
      { cause: error },
    );
  }
}

function graphOf(model: ModelProto): GraphProto {
  if (!model.graph || model.opsetImport.length === 0) {
    throw new ModelFormatError(
      expected(
        "onnx",
        "a model with a graph and an operator set",
        "neither; is this an .onnx file?",
      ),
    );
  }
  if (model.graph.sparseInitializer.length > 0) {
    throw new UnsupportedOperatorError(expected("onnx", "dense weights", "sparse ones"));
  }
  return model.graph;
}

function opsetOf(model: ModelProto): number {
  const own = model.opsetImport.find(({ domain }) => OWN_DOMAINS.has(domain));
  if (!own || own.version < 1)
    throw new ModelFormatError(
      expected("onnx", "a version of ONNX's operator set", own ? `${own.version}` : "none"),
    );
  return own.version;
}

/** Names every operator that we do not have, at once, so that a user sees all that is missing. */
function checkOperators(graph: GraphProto, opset: number): void {
  const missing = new Map<string, NodeProto[]>();
  for (const node of graph.node) {
    const known = OWN_DOMAINS.has(node.domain) && Object.hasOwn(operators, node.opType);
    if (known) continue;
    const name = OWN_DOMAINS.has(node.domain) ? node.opType : `${node.domain}.${node.opType}`;
    missing.set(name, [...(missing.get(name) ?? []), node]);
  }
  if (missing.size === 0) return;
  const listed = [...missing].slice(0, 10).map(([name, nodes]) => {
    const near = nearest(nodes[0].opType, Object.keys(operators));
    const where = `node ${show(nodes[0].name || nodes[0].output[0] || "")}${nodes.length > 1 ? ` and ${nodes.length - 1} more` : ""}`;
    return `"${name}" at ${where}${near && near !== nodes[0].opType ? ` (we have "${near}")` : ""}`;
  });
  const more = missing.size > 10 ? ` and ${missing.size - 10} more operators` : "";
  throw new UnsupportedOperatorError(
    expected("onnx", `operators that this library has (opset ${opset})`, listed.join(", ") + more),
  );
}

/** What the model says of an input or output. A size without a number or a name is "?". */
function readInfo(info: ValueInfoProto, isInput: boolean): ValueInfo {
  const tensor = info.type?.tensorType;
  if (!tensor) {
    if (!isInput) return { name: info.name, dtype: "float32", shape: [] };
    throw new UnsupportedOperatorError(
      expected("onnx", `a tensor for input ${show(info.name)}`, "a sequence, map or optional"),
    );
  }
  const dtype: DType = dtypeOfElement(
    tensor.elemType || 1,
    `${isInput ? "input" : "output"} ${show(info.name)}`,
  );
  const shape = (tensor.shape?.dim ?? []).map(({ dimValue, dimParam }) => {
    if (dimValue !== undefined && dimValue >= 0 && !dimParam)
      return dimValue === 0 && isInput ? "?" : dimValue;
    return dimParam || "?";
  });
  return { name: info.name, dtype, shape };
}

function isInOrder(nodes: readonly NodeProto[], known: readonly string[]): boolean {
  const have = new Set(known).add("");
  return nodes.every(({ input, output }) => {
    const isReady = input.every((name) => have.has(name));
    for (const name of output) have.add(name);
    return isReady;
  });
}

/** The nodes so that each comes after those it reads; ONNX asks for that order, but not every file keeps it. */
function inOrder(nodes: readonly NodeProto[], known: readonly string[]): readonly NodeProto[] {
  if (isInOrder(nodes, known)) return nodes;
  const makers = new Map<string, number>();
  nodes.forEach((node, i) => {
    for (const name of node.output) if (name) makers.set(name, i);
  });
  const have = new Set(known);
  const ready: NodeProto[] = [];
  const waits = nodes.map((node) => new Set(node.input.filter((name) => name && !have.has(name))));
  const readers = new Map<string, number[]>();
  waits.forEach((names, i) => {
    for (const name of names) {
      if (!makers.has(name)) {
        throw new ModelFormatError(
          expected(
            "onnx",
            `a node, weight or input called ${show(name)} for node ${show(nodes[i].name)}`,
            "none",
          ),
        );
      }
      readers.set(name, [...(readers.get(name) ?? []), i]);
    }
  });
  const queue = waits.flatMap((names, i) => (names.size === 0 ? [i] : []));
  // Lowest index first keeps a file that is in order as it is.
  while (queue.length > 0) {
    const i = queue.shift() as number;
    ready.push(nodes[i]);
    for (const name of nodes[i].output) {
      if (!name) continue;
      for (const reader of readers.get(name) ?? []) {
        waits[reader].delete(name);
        if (waits[reader].size === 0) insertSorted(queue, reader);
      }
      readers.delete(name);
    }
  }
  if (ready.length !== nodes.length)
    throw new ModelFormatError(
      expected("onnx", "a graph without cycles", "nodes that read their own results"),
    );
  return ready;
}

function insertSorted(queue: number[], value: number): void {
  let at = queue.length;
  while (at > 0 && queue[at - 1] > value) at--;
  if (queue[at - 1] !== value) queue.splice(at, 0, value);
}
