/** xcorr visualize: what a network is made of and what it sees of a photo, as a log for TensorBoard. */
import { Tensor } from "xcorr";
import { load, type Network } from "xcorr/onnx";
import { receptiveField } from "xcorr/receptive-field";
import { SummaryWriter, summary } from "xcorr/tensorboard";
import { type Photo, type PhotoOptions, readLabels, readPhoto } from "../photo.js";
import { withProgress } from "../progress.js";

export interface VisualizeOptions extends PhotoOptions {
  readonly logdir: string;
  readonly layers?: string;
  readonly labels?: string;
  readonly json?: boolean;
}

/** The five best classes of an output that can be one: probabilities or scores (1, C) with a label for each. */
async function bestClasses(
  outputs: Record<string, Tensor>,
  file: string | undefined,
): Promise<string | undefined> {
  const [scores] = Object.values(outputs);
  if (!scores || scores.size < 5 || scores.rank !== 2) return undefined;
  const labels = await readLabels(file);
  if (labels.length !== scores.size && file === undefined) return undefined;
  const best = Array.from(scores.data as Float32Array, (score, i) => ({
    score,
    label: labels[i] ?? `class ${i}`,
  })).sort((a, b) => b.score - a.score);
  return [
    "| class | score |",
    "|---|--:|",
    ...best.slice(0, 5).map(({ label, score }) => `| ${label} | ${score.toFixed(4)} |`),
  ].join("\n");
}

/** The photo, and on it what the middle unit of five layers from first to last sees. */
function addInput(writer: SummaryWriter, net: Network, photo: Photo): void {
  writer.addImage("input/photo", photo.shown, 0, {
    dataformats: "HWC",
    description: "The photo as the network takes it.",
  });
  const field = receptiveField(net, { input: photo.input });
  const inPlaces = field.layers.filter(
    ({ axes, shape }) =>
      axes.length === 2 &&
      shape[2] * shape[3] > 1 &&
      Number.isFinite(axes[0].size) &&
      axes[0].size > 1,
  );
  const some = [0, 0.25, 0.5, 0.75, 1]
    .map((part) => inPlaces[Math.round(part * (inPlaces.length - 1))])
    .filter((layer, i, all) => layer && all.indexOf(layer) === i);
  const boxes = some.flatMap(({ name, shape }) => {
    const box = field.box(name, shape[2] >> 1, shape[3] >> 1);
    return box ? [[box.left, box.top, box.right, box.bottom]] : [];
  });
  if (boxes.length > 0) {
    const names = some.map(({ name, axes }) => `${name} (${axes[0].size} pixels)`).join(", ");
    writer.addImageWithBoxes("input/receptive_fields", photo.shown, Tensor.from(boxes), 0, {
      dataformats: "HWC",
      description: `What the middle unit sees of: ${names}.`,
    });
  }
  writer.addText("receptive_field", `\`\`\`\n${field.toString()}\n\`\`\``);
}

async function record(
  writer: SummaryWriter,
  net: Network,
  photo: Photo,
  options: VisualizeOptions,
): Promise<number> {
  const { feeds } = photo;
  addInput(writer, net, photo);
  writer.addGraph(net, feeds);
  const outputs = await net.run(feeds);
  const classes = await bestClasses(outputs, options.labels);
  if (classes) writer.addText("classes", classes);
  writer.addText("steps", `\`\`\`\n${net.explain(feeds).toString()}\n\`\`\``);
  const layers = summary.convolutions(net, feeds);
  for (const { output, weight } of layers) {
    const plate = summary.kernels(weight);
    writer.addPicture(`kernels/${output}`, plate.picture, 0, plate);
    writer.addHistogram(`weights/${output}`, weight);
  }
  const wanted = options.layers?.split(",") ?? layers.map(({ output }) => output);
  const maps = await summary.featureMaps(net, feeds, wanted);
  for (const [name, { tensor, plate }] of Object.entries(maps)) {
    writer.addPicture(`feature_maps/${name}`, plate.picture, 0, plate);
    writer.addHistogram(`activations/${name}`, tensor);
  }
  return layers.length;
}

export async function visualize(
  model: string,
  image: string,
  options: VisualizeOptions,
): Promise<void> {
  using net = await load(model, { prepare: false });
  const photo = await readPhoto(net, image, options);
  using writer = new SummaryWriter(options.logdir);
  const layers = await withProgress("recording", () => record(writer, net, photo, options));
  writer.flush();
  if (options.json) {
    console.log(
      JSON.stringify({ model, image, logdir: options.logdir, file: writer.path, layers }),
    );
    return;
  }
  console.log(
    `${layers} layers recorded: photo, receptive fields, kernels, feature maps, histograms, graph\n\n  tensorboard --logdir ${options.logdir}\n\nthen open http://localhost:6006/`,
  );
}
