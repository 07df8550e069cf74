// Layers with weights: the notes' Conv2d, LeNet, compiled, saved and loaded.
// Source: Dive into Deep Learning, "Convolutions for Images" and "Convolutional Neural Networks (LeNet)".
import { pathToFileURL } from "node:url";
import { compile, loadSafetensors, nn, saveSafetensors, Tensor } from "xcorr";

export function main() {
  // Weight uniform in [0, 1), bias zero: the layer as the notes first write it.
  const layer = new nn.Conv2d(1, 1, [1, 2]);
  nn.init.uniform(layer.weight, { seed: 1 });
  nn.init.zeros(layer.bias);

  const lenet = new nn.Sequential(
    new nn.Conv2d(1, 6, 5, { padding: 2, seed: 1 }),
    new nn.Sigmoid(),
    new nn.AvgPool2d(2),
    new nn.Conv2d(6, 16, 5, { seed: 2 }),
    new nn.Sigmoid(),
    new nn.AvgPool2d(2),
    new nn.Flatten(),
    new nn.Linear(400, 120, { seed: 3 }),
    new nn.Sigmoid(),
    new nn.Linear(120, 84, { seed: 4 }),
    new nn.Sigmoid(),
    new nn.Linear(84, 10, { seed: 5 }),
  );
  const x = Tensor.randn([1, 1, 28, 28], { seed: 6 });
  const eager = lenet.forward(x);

  const compiled = compile(lenet, x);
  const { output } = compiled.runSync({ input: x });
  compiled.dispose();

  const bytes = saveSafetensors(lenet.stateDict());
  lenet.loadStateDict(loadSafetensors(bytes));
  return {
    bias: layer.bias.toArray(),
    text: lenet.toString(),
    parameters: [...lenet.namedParameters()].map(([name]) => name),
    eager,
    output,
  };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) console.log(main());
