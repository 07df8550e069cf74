// Cross-correlation, by hand and as an edge detector.
// Source: Dive into Deep Learning, "Convolutions for Images".
import { pathToFileURL } from "node:url";
import { functional as F, Tensor } from "xcorr";

export function main() {
  const x = Tensor.from([
    [0, 1, 2],
    [3, 4, 5],
    [6, 7, 8],
  ]);
  const k = Tensor.from([
    [0, 1],
    [2, 3],
  ]);
  const first = F.corr2d(x, k).toArray(); // [[19, 25], [37, 43]]

  // A black bar on white: the kernel [1, -1] answers where the brightness changes, and with which sign.
  const image = Tensor.from(Array.from({ length: 6 }, () => [1, 1, 0, 0, 0, 0, 1, 1]));
  const edges = F.corr2d(image, Tensor.from([[1, -1]])).toArray();
  return { first, edges };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) console.log(main());
