// Learns a kernel from an input and its edge map: nobody tells it [1, -1].
// Source: Dive into Deep Learning, "Convolutions for Images", learning a kernel.
import { pathToFileURL } from "node:url";
import { functional as F, nn, optim, Tensor } from "xcorr";

export function main() {
  // Six rows: white, four columns of black, white.
  const image = Tensor.ones([1, 1, 6, 8]);
  for (let y = 0; y < 6; y++) for (let x = 2; x < 6; x++) image.data[y * 8 + x] = 0;
  const edges = F.conv2d(image, Tensor.from([[[[1, -1]]]]));

  const layer = new nn.Conv2d(1, 1, [1, 2], { bias: false, seed: 1 });
  const optimizer = new optim.SGD(layer.parameters(), { lr: 0.5, momentum: 0.5 });
  const losses = [];
  for (let step = 0; step < 40; step++) {
    const loss = F.mseLoss(layer.forward(image), edges);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    losses.push(loss.item());
  }
  return { losses, kernel: layer.weight.toArray().flat(3) };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) console.log(main().kernel);
