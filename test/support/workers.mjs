/** Only workers load the addon here, and each is terminated in the middle of its runs. Prints "alive" if the process survives that. */
import { Worker } from "node:worker_threads";

const library = new URL("../../dist/index.js", import.meta.url).href;
const code = `import(${JSON.stringify(library)}).then(({ compile, nn, Tensor }) => {
  const x = Tensor.zeros([1, 32, 96, 96]);
  const layers = Array.from({ length: 6 }, () => new nn.Conv2d(32, 32, 3, { padding: 1 }));
  const net = compile(new nn.Sequential(...layers), x);
  const again = () => net.run({ input: x }).then(again);
  again();
  again();
  require("node:worker_threads").parentPort.postMessage("running");
});`;

for (let i = 0; i < 10; i++) {
  const worker = new Worker(code, { eval: true });
  await new Promise((resolve) => worker.once("message", resolve));
  await worker.terminate();
}
await new Promise((resolve) => setTimeout(resolve, 200));
console.log("alive");
