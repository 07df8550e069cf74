// Several channels in, several out, and 1x1 convolution as mixing of channels.
// Source: Dive into Deep Learning, "Multiple Input and Multiple Output Channels".
import { pathToFileURL } from "node:url";
import { functional as F, Tensor } from "xcorr";

export function main() {
  const x = Tensor.from([
    [
      [0, 1, 2],
      [3, 4, 5],
      [6, 7, 8],
    ],
    [
      [1, 2, 3],
      [4, 5, 6],
      [7, 8, 9],
    ],
  ]);
  const k = Tensor.from([
    [
      [0, 1],
      [2, 3],
    ],
    [
      [1, 2],
      [3, 4],
    ],
  ]);
  const multiIn = F.corr2dMultiIn(x, k).toArray(); // [[56, 72], [104, 120]]

  // One kernel per output channel: K, K + 1, K + 2.
  const kernels = F.stack([0, 1, 2].map((n) => F.add(k, Tensor.from(n))));
  const multiInOut = F.corr2dMultiInOut(x, kernels).toArray();

  // 1x1: at every pixel a fully connected layer over the channels, 3 -> 2.
  const image = Tensor.rand([3, 3, 3], { seed: 1 });
  const weight = Tensor.rand([2, 3], { seed: 2 });
  const convolved = F.conv2d(image, weight.reshape([2, 3, 1, 1]));
  const perPixel = F.permute(F.linear(F.permute(image, [1, 2, 0]), weight), [2, 0, 1]);
  const difference = Math.max(...convolved.data.map((v, i) => Math.abs(v - perPixel.data[i])));
  return { multiIn, multiInOut, difference };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) console.log(main());
