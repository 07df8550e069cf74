// What padding, stride and pooling do to shapes and numbers.
// Source: Dive into Deep Learning, "Padding and Stride" and "Pooling".
import { pathToFileURL } from "node:url";
import { functional as F, nn, Tensor } from "xcorr";

export function main() {
  const x = Tensor.rand([1, 1, 8, 8], { seed: 1 });
  const shapes = {
    same: new nn.Conv2d(1, 1, 3, { padding: 1 }).forward(x).shape, // (1, 1, 8, 8)
    tall: new nn.Conv2d(1, 1, [5, 3], { padding: [2, 1] }).forward(x).shape, // (1, 1, 8, 8)
    halved: new nn.Conv2d(1, 1, 3, { padding: 1, stride: 2 }).forward(x).shape, // (1, 1, 4, 4)
    uneven: new nn.Conv2d(1, 1, [3, 5], { padding: [0, 1], stride: [3, 4] }).forward(x).shape, // (1, 1, 2, 2)
  };
  const grid = Tensor.from([
    [
      [0, 1, 2],
      [3, 4, 5],
      [6, 7, 8],
    ],
  ]);
  const max = F.maxPool2d(grid, 2, { stride: 1 }).toArray(); // [[[4, 5], [7, 8]]]
  const avg = F.avgPool2d(grid, 2, { stride: 1 }).toArray(); // [[[2, 3], [5, 6]]]
  return { shapes, max, avg };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) console.log(main());
