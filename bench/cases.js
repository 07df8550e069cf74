// What is timed: the networks of this repository with their stored inputs and outputs, and single layers with the reference's outputs. All become
// .onnx files in `folder`, so that every engine takes the same.
//
// A case: { name, group, model: path, inputs: { name: { data, dims } }, macs, check(outputs) -> what is wrong, or undefined }
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as xcorr from "xcorr";
import { load, Network, toOnnx } from "xcorr/onnx";
import { decodeModel, OnnxModel, parseNpy, referenceBackend, toTensor } from "../dist/internals.js";
import { layers, makeLayer, pickChannels } from "../test/support/layers.js";
import * as stored from "../test/support/storedCases.js";

const { compile, Tensor } = xcorr;

/** Names and groups only; make() writes the file and computes what is expected. */
export function listCases(folder) {
  const seen = new Set();
  const networks = stored.cases
    .filter(({ model }) => stored.pathOf(model) && !seen.has(model) && seen.add(model))
    .map((one) => ({
      name: one.id.split("__")[0],
      group: "networks",
      make: () => network(one, folder),
    }));
  return [
    ...networks,
    ...layers.map((one) => ({
      name: one.name,
      group: "layers",
      make: () => layer(one, folder),
    })),
  ];
}

const npy = (file) => parseNpy(readFileSync(join(stored.folder, file)));

async function network(one, folder) {
  const inputs = Object.fromEntries(
    Object.entries(one.inputs).map(([name, form]) => [
      name,
      { data: stored.inputElements(npy(form.file).data, form), dims: form.dims },
    ]),
  );
  let model = stored.pathOf(one.model);
  if (stored.isHashed(one.model)) {
    const message = decodeModel(readFileSync(model));
    stored.fillHashed(message, (shape) => Array.from(toTensor(shape, "shape").data, Number));
    const net = new Network(new OnnxModel(message), { backend: referenceBackend });
    model = join(folder, `${one.id}.onnx`);
    writeFileSync(model, toOnnx(net, tensors(inputs)));
  }
  const check = (outputs) => {
    for (const [name, { file }] of Object.entries(one.outputs)) {
      const wrong = difference(outputs[name], npy(file).data, one);
      if (wrong) return `${name}: ${wrong}`;
    }
  };
  return { model, inputs, check, macs: await macsOf(model, inputs) };
}

async function layer(one, folder) {
  const { input, run, part, channels } = makeLayer(one, xcorr);
  const model = join(folder, `${one.name.replace(/\W+/g, "-")}.onnx`);
  writeFileSync(model, toOnnx(run, input));
  const reference = compile(part, input, { backend: "reference" });
  const { output: expected } = reference.runSync({ input });
  const total = one.weight ? one.weight[0] : one.input[1];
  const check = (outputs) => {
    const [got] = Object.values(outputs);
    return difference(pickChannels(got, total, channels), expected.data, {
      rtol: 1e-3,
      atol: 1e-4,
    });
  };
  const inputs = { [reference.inputs[0].name]: { data: input.data, dims: one.input } };
  return { model, inputs, check, macs: await macsOf(model, inputs) };
}

const tensors = (inputs) =>
  Object.fromEntries(
    Object.entries(inputs).map(([name, { data, dims }]) => [name, new Tensor(data, dims)]),
  );

/** Multiplications of the sums as they stand. */
async function macsOf(model, inputs) {
  const net = await load(model, { backend: "reference" });
  return net.explain(tensors(inputs)).steps.reduce((sum, { macs }) => sum + macs, 0);
}

/** The first element with |got - expected| > rtol * |expected| + atol * the largest, as text. */
function difference(got, expected, { rtol, atol }) {
  if (got?.length !== expected.length)
    return `${got?.length} numbers instead of ${expected.length}`;
  const largest = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 1);
  const at = expected.findIndex(
    (want, i) => !(Math.abs(got[i] - want) <= rtol * Math.abs(want) + atol * largest),
  );
  return at < 0 ? undefined : `element ${at} is ${got[at]} instead of ${expected[at]}`;
}
