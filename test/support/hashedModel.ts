/**
 * Architectures whose weights are ConstantOfShape, filled with pseudo-random weights that any language can make: a hash of the weight's
 * place and of the number of its node. The network then ends before its Softmax.
 *
 *   x = imul(i, 2654435761) + imul(s + 1, 2246822519), mixed; u = x / 2^32; weights (2u - 1) * sqrt(6 / fan-in)
 */
import type { GraphProto, ModelProto, NodeProto, TensorProto } from "../../src/onnx/messages.js";
import { toTensor } from "../../src/onnx/tensors.js";

/** Uniform in [0, 1) from a place and a stream. */
export function hashUniform(i: number, s: number): number {
  let x = (Math.imul(i, 2654435761) + Math.imul(s + 1, 2246822519)) | 0;
  for (let round = 0; round < 2; round++) {
    x ^= x >>> 16;
    x = Math.imul(x, 0x45d9f3b);
  }
  x ^= x >>> 16;
  return (x >>> 0) / 2 ** 32;
}

/** How a weight is made from u, by the node that reads it first (looking through Unsqueeze) and as which of its inputs. */
function weightForm(
  graph: GraphProto,
  name: string,
  dims: readonly number[],
): (u: number) => number {
  const reader = graph.node.find((node) => node.input.includes(name)) as NodeProto;
  if (reader.opType === "Unsqueeze") return weightForm(graph, reader.output[0], dims);
  const place = reader.input.indexOf(name);
  if ((reader.opType === "Conv" || reader.opType === "Gemm") && place === 1) {
    const transposed = reader.attribute.some(
      ({ name: attribute, i }) => attribute === "transB" && i !== 0n,
    );
    const fanIn =
      reader.opType === "Conv" || transposed ? dims.slice(1).reduce((a, b) => a * b, 1) : dims[0];
    return (u) => (2 * u - 1) * Math.sqrt(6 / fanIn);
  }
  if (reader.opType === "BatchNormalization") {
    const forms: Record<number, (u: number) => number> = {
      1: (u) => 0.5 + u / 2,
      2: (u) => (2 * u - 1) * 0.1,
      3: (u) => (2 * u - 1) * 0.1,
      4: (u) => 0.5 + u,
    };
    return forms[place];
  }
  return reader.opType === "Mul" ? (u) => 0.5 + u / 2 : (u) => (2 * u - 1) * 0.05;
}

/** Fills the model's weights in place. */
export function fillHashed(model: ModelProto): void {
  const graph = model.graph as GraphProto;
  const initializers = new Map(graph.initializer.map((t) => [t.name, t]));
  let stream = 0;
  const rest: NodeProto[] = [];
  for (const node of graph.node) {
    if (node.opType !== "ConstantOfShape") {
      rest.push(node);
      continue;
    }
    const dims = Array.from(
      toTensor(initializers.get(node.input[0]) as TensorProto, "shape").data,
      Number,
    );
    const value = weightForm(graph, node.output[0], dims);
    const data = new Float32Array(dims.reduce((a, b) => a * b, 1));
    for (let i = 0; i < data.length; i++) data[i] = value(hashUniform(i, stream));
    stream++;
    graph.initializer.push({
      dims,
      dataType: 1,
      name: node.output[0],
      rawData: new Uint8Array(data.buffer),
      floatData: [],
      int32Data: [],
      int64Data: [],
      doubleData: [],
      uint64Data: [],
      externalData: [],
      dataLocation: 0,
    });
  }
  graph.node = rest;
  const last = rest[rest.length - 1];
  if (last.opType !== "Softmax") return;
  rest.pop();
  graph.output = [{ name: last.input[0] }];
}
