// One training step of LeNet-5 (batch 64: forward, cross entropy, backward, Adam) here and in tfjs, in turns within one process.
//
//   npm run bench:training           tfjs is timed where it is installed: npm ci --prefix bench/peers
import { functional as F, nn, optim, Tensor } from "xcorr";
import { peer } from "./peers.js";

const BATCH = 64;
const images = Tensor.rand([BATCH, 1, 28, 28], { seed: 1 });
const classes = Array.from({ length: BATCH }, (_, i) => i % 10);

function xcorrStep() {
  const layers = [
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
  ];
  const model = new nn.Sequential(...layers);
  const optimizer = new optim.Adam(model.parameters());
  const labels = Tensor.from(classes, "int32");
  return async () => {
    const loss = F.crossEntropy(model.forward(images), labels);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    return loss.item();
  };
}

/** The same network in tfjs, channels last. */
async function tfjsStep(tf, backend) {
  await tf.setBackend(backend);
  await tf.ready();
  const variable = (shape, fan) =>
    tf.variable(tf.randomUniform(shape, -1 / Math.sqrt(fan), 1 / Math.sqrt(fan), "float32", 1));
  const [w1, w2, w3, w4, w5] = [
    variable([5, 5, 1, 6], 25),
    variable([5, 5, 6, 16], 150),
    variable([400, 120], 400),
    variable([120, 84], 120),
    variable([84, 10], 84),
  ];
  const [b1, b2, b3, b4, b5] = [6, 16, 120, 84, 10].map((n) => tf.variable(tf.zeros([n])));
  const x = tf.tensor4d(images.data, [BATCH, 28, 28, 1]);
  const y = tf.cast(tf.oneHot(tf.tensor1d(classes, "int32"), 10), "float32");
  const optimizer = tf.train.adam(0.001);
  return async () => {
    await tf.setBackend(backend);
    const loss = optimizer.minimize(() => {
      const a = tf.maxPool(tf.relu(tf.add(tf.conv2d(x, w1, 1, "same"), b1)), 2, 2, "valid");
      const b = tf.maxPool(tf.relu(tf.add(tf.conv2d(a, w2, 1, "valid"), b2)), 2, 2, "valid");
      const c = tf.relu(tf.add(tf.matMul(tf.reshape(b, [BATCH, 400]), w3), b3));
      const d = tf.relu(tf.add(tf.matMul(c, w4), b4));
      return tf.losses.softmaxCrossEntropy(y, tf.add(tf.matMul(d, w5), b5));
    }, true);
    const value = (await loss.data())[0];
    loss.dispose();
    return value;
  };
}

const engines = new Map([["xcorr", xcorrStep()]]);
try {
  const tf = peer("@tensorflow/tfjs");
  for (const backend of ["cpu", "wasm"]) {
    peer(`@tensorflow/tfjs-backend-${backend}`);
    try {
      const step = await tfjsStep(tf, backend);
      await step();
      engines.set(`tfjs-${backend}`, step);
    } catch (error) {
      console.log(`tfjs-${backend}: ${error.message.split("\n")[0]}`);
    }
  }
} catch (error) {
  console.log(`tfjs not timed: ${error.message.split("\n")[0]}`);
}

const times = new Map([...engines.keys()].map((name) => [name, []]));
for (const step of engines.values()) for (let i = 0; i < 3; i++) await step();
for (let round = 0; round < 15; round++) {
  for (const [name, step] of engines) {
    const before = performance.now();
    await step();
    times.get(name).push(performance.now() - before);
  }
}
const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
const own = median(times.get("xcorr"));
for (const [name, list] of times)
  console.log(
    `${name.padEnd(10)} ${median(list).toFixed(1)} ms per step${name === "xcorr" ? "" : `, ${(median(list) / own).toFixed(1)} times ours`}`,
  );
