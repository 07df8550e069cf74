/** Histograms as TensorBoard shows them. */
import { expected, OptionError, TensorError } from "../core/errors.js";
import { numbersOf, type Tensor } from "../core/tensor.js";
import type { Histogram } from "./messages.js";

/** Edges that grow by 10 % from 1e-12 to 1e20, mirrored below zero: the usual ones of TensorFlow and PyTorch. */
const EDGES: readonly number[] = (() => {
  const positive: number[] = [];
  for (let edge = 1e-12; edge < 1e20; edge *= 1.1) positive.push(edge);
  return [...positive.map((e) => -e).reverse(), 0, ...positive];
})();

/**
 * @param bins  "tensorflow": edges that grow by 10 %, the same for all histograms; a number: so many of equal width
 * @throws {TensorError} if there are no numbers, or some are not finite
 */
export function histogramOf(
  where: string,
  values: Tensor | readonly number[],
  bins: "tensorflow" | number = "tensorflow",
): Histogram {
  const numbers = Array.isArray(values) ? values : numbersOf(values as Tensor);
  const count = numbers.length;
  if (count === 0) throw new TensorError(expected(where, "numbers to count", "none"));
  let [min, max, sum, sumSquares, broken] = [
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    0,
    0,
    0,
  ];
  for (let i = 0; i < count; i++) {
    const v = numbers[i];
    if (!Number.isFinite(v)) broken++;
    if (v < min) min = v;
    if (v > max) max = v;
    sum += v;
    sumSquares += v * v;
  }
  if (broken > 0)
    throw new TensorError(
      expected(where, "finite numbers", `${broken} of ${count} that are NaN or infinite`),
    );
  const edges = edgesFor(where, min, max, bins);
  // Bucket k holds what lies from edges[k] to below edges[k + 1]; the last one its right edge too.
  const counts = new Array<number>(edges.length - 1).fill(0);
  for (let i = 0; i < count; i++)
    counts[Math.max(0, Math.min(counts.length - 1, lastAtMost(edges, numbers[i])))]++;
  let first = counts.findIndex((n) => n > 0);
  let last = counts.length - 1;
  while (counts[last] === 0) last--;
  // One empty bucket stays on the left: its right edge is where the first full one begins.
  first = Math.max(0, first - 1);
  return {
    min,
    max,
    count,
    sum,
    sumSquares,
    limits: edges.slice(first + 1, last + 2),
    counts: counts.slice(first, last + 1),
  };
}

function edgesFor(
  where: string,
  min: number,
  max: number,
  bins: "tensorflow" | number,
): readonly number[] {
  if (bins === "tensorflow") return EDGES;
  if (!Number.isInteger(bins) || bins < 1)
    throw new OptionError(expected(where, '"tensorflow" or a number of bins', String(bins)));
  const [low, high] = min === max ? [min - 0.5, max + 0.5] : [min, max];
  return Array.from({ length: bins + 1 }, (_, i) => low + ((high - low) * i) / bins);
}

/** Index of the last edge that is at most the value; -1 if none is. */
function lastAtMost(edges: readonly number[], value: number): number {
  let [low, high] = [0, edges.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (edges[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
