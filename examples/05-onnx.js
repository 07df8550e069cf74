// A photo goes in, the right class comes out.
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { decode, toTensor } from "xcorr/image";
import { load } from "xcorr/onnx";

const file = (path) => new URL(`../${path}`, import.meta.url);

export async function main() {
  const net = await load(file("models/efficientnet_lite0_int8w.onnx"));
  const labels = JSON.parse(await readFile(file("models/imagenet_labels.json"), "utf8"));
  const pixels = await decode(await readFile(file("photos/coffee.png")));
  const input = toTensor(pixels, {
    size: [224, 224],
    crop: 224 / 256,
    mean: [127, 127, 127],
    std: [128, 128, 128],
  });
  const { probabilities } = await net.run({ input });
  const best = probabilities.data.indexOf(Math.max(...probabilities.data));
  net.dispose();
  return { label: labels[best], probability: probabilities.data[best] };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) console.log(await main());
