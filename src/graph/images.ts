/**
 * A batch, image by image: the graph of one image of it, where no image depends on another. What a layer makes of one image is still in the caches when the next
 * layer reads it, and threads that have an image each need not wait for one another.
 */
import type { TensorType } from "../core/op.js";
import { sameShape, sizeOf } from "../core/shape.js";
import type { Tensor } from "../core/tensor.js";
import { Graph, type Node, type Value } from "./graph.js";

export interface OneImage {
  readonly graph: Graph;
  /** How many images the batch has. */
  readonly images: number;
}

/** The graph of one image; undefined if the inputs are no batch of more than one, or its images depend on each other. The graph given stays as it is. */
export function oneImageOf(graph: Graph): OneImage | undefined {
  const images = graph.inputs[0]?.type.shape[0] ?? 1;
  if (images < 2 || graph.inputs.some(({ type }) => type.shape[0] !== images)) return undefined;
  const one = new Graph();
  /** Of each value of the batch, that of one image. */
  const made = new Map<Value, Value>();
  /** Of values that serve all images: constants, and what is made of them alone. */
  const shared = new Map<Value, Value>();
  const oneOf = ({ dtype, shape }: TensorType): TensorType => ({
    dtype,
    shape: [1, ...shape.slice(1)],
  });
  const see = (value: Value): Value => {
    let known = made.get(value) ?? shared.get(value);
    if (known) return known;
    known = one.constant(value.constant as Tensor, value.name);
    known.named = value.named;
    shared.set(value, known);
    return known;
  };
  for (const input of graph.inputs) made.set(input, one.input(input.name, oneOf(input.type)));
  for (const node of graph.nodes) {
    const ofBatch = node.inputs.map((value) => made.has(value));
    const serves = !ofBatch.includes(true);
    const attrs = serves ? node.attrs : attributesForOne(node, ofBatch);
    if (!attrs) return undefined;
    const names = node.outputs.map(({ name }) => name);
    const outputs = one.add(node.op, node.inputs.map(see), attrs, names, node.name);
    for (const [k, output] of outputs.entries()) {
      const of = node.outputs[k];
      output.named = of.named;
      (serves ? shared : made).set(of, output);
      if (serves) continue;
      if (of.type.shape[0] !== images || !sameShape(output.type.shape, oneOf(of.type).shape))
        return undefined;
    }
  }
  for (const { name, value } of graph.outputs) {
    const output = made.get(value);
    if (!output) return undefined;
    one.outputs.push({ name, value: output });
  }
  return { graph: one, images };
}

function attributesForOne(node: Node, ofBatch: readonly boolean[]): object | undefined {
  const { op, attrs, inputs } = node;
  const types = inputs.map(({ type }) => type);
  if (op.byImage) return op.byImage(types, attrs, ofBatch);
  return op.elementwise && broadcastsByImage(node, ofBatch) ? attrs : undefined;
}

/** Images of all inputs of the batch lie along the outputs' axis 0. An input that serves all images, but has several itself, shows in the shape of one. */
const broadcastsByImage = ({ inputs, outputs }: Node, ofBatch: readonly boolean[]): boolean =>
  inputs.every(({ type }, i) => !ofBatch[i] || type.shape.length === outputs[0].type.shape.length);

/** Numbers that a step reads and writes of an image, on average, for it to be worth a call of its own: 0.1 us. */
const LEAST_OF_STEP = 512;

/**
 * Whether it costs less to read all weights for each image than to read and write all images for each layer: only weights count that do little besides being
 * read, as those of a linear layer. graph: of one image.
 */
export function prefersImages(graph: Graph): boolean {
  let weights = 0;
  let images = 0;
  for (const { op, inputs, outputs, attrs } of graph.nodes) {
    const types = inputs.map(({ type }) => type);
    const parameters = sum(inputs.filter((value) => value.constant));
    if ((op.macs?.(types, attrs) ?? 0) < 4 * parameters) weights += parameters;
    images += sum(inputs.filter((value) => !value.constant)) + sum(outputs);
  }
  return weights < images && images >= LEAST_OF_STEP * graph.nodes.length;
}

const sum = (values: readonly Value[]): number =>
  values.reduce((total, { type }) => total + sizeOf(type.shape), 0);
