/** Examples in batches: TensorDataset, DataLoader. */
import { DTYPES } from "../core/dtype.js";
import { expected, ShapeError, showShape } from "../core/errors.js";
import { checkOptions, readBoolean, readInt } from "../core/options.js";
import { sizeOf } from "../core/shape.js";
import { randomSource, Tensor } from "../core/tensor.js";

/** Tensors whose first axes count the same examples: images and labels, say. @see torch.utils.data.TensorDataset */
export class TensorDataset<T extends readonly Tensor[] = readonly Tensor[]> {
  readonly tensors: T;
  /** Examples. */
  readonly length: number;
  constructor(...tensors: T) {
    if (tensors.length === 0)
      throw new ShapeError(expected("TensorDataset", "at least one tensor", "none"));
    for (const t of tensors) {
      if (t.rank === 0 || t.shape[0] !== tensors[0].shape[0])
        throw new ShapeError(
          expected(
            "TensorDataset",
            "first axes of one length",
            tensors.map((x) => showShape(x.shape)).join(", "),
          ),
        );
    }
    this.tensors = tensors;
    this.length = tensors[0].shape[0];
  }

  /** The examples at these places, copied into new tensors. */
  take(indices: readonly number[]): { [K in keyof T]: Tensor } {
    const pick = (t: Tensor): Tensor => {
      const step = sizeOf(t.shape.slice(1));
      const data = new DTYPES[t.dtype].array(indices.length * step);
      indices.forEach((index, i) => {
        data.set(t.data.subarray(index * step, (index + 1) * step) as never, i * step);
      });
      return new Tensor(data, [indices.length, ...t.shape.slice(1)], t.dtype);
    };
    return this.tensors.map(pick) as { [K in keyof T]: Tensor };
  }
}

export interface DataLoaderOptions {
  /** Examples per batch; default 1. */
  readonly batchSize?: number;
  /** A new order for each pass; default false. */
  readonly shuffle?: boolean;
  /** Leave out a last batch that is not full; default false. */
  readonly dropLast?: boolean;
  /** Of the orders: the same seed gives the same orders, pass after pass. Default: another one each time. */
  readonly seed?: number;
}

/**
 * Iterates over a dataset in batches; each `for` loop is one pass.
 *
 * @example for (const [images, labels] of new DataLoader(dataset, { batchSize: 64, shuffle: true })) ...
 * @see torch.utils.data.DataLoader
 */
export class DataLoader<T extends readonly Tensor[]>
  implements Iterable<{ [K in keyof T]: Tensor }>
{
  readonly batchSize: number;
  private readonly shuffle: boolean;
  private readonly dropLast: boolean;
  private readonly next: () => number;

  constructor(
    readonly dataset: TensorDataset<T>,
    options: DataLoaderOptions = {},
  ) {
    checkOptions("DataLoader", options, ["batchSize", "shuffle", "dropLast", "seed"]);
    this.batchSize = readInt("DataLoader", "batchSize", options.batchSize ?? 1, 1);
    this.shuffle = readBoolean("DataLoader", "shuffle", options.shuffle ?? false);
    this.dropLast = readBoolean("DataLoader", "dropLast", options.dropLast ?? false);
    this.next = randomSource(options.seed);
  }

  /** Batches of one pass. */
  get length(): number {
    const batches = this.dataset.length / this.batchSize;
    return this.dropLast ? Math.floor(batches) : Math.ceil(batches);
  }

  *[Symbol.iterator](): Generator<{ [K in keyof T]: Tensor }> {
    const order = Array.from({ length: this.dataset.length }, (_, i) => i);
    if (this.shuffle) {
      for (let i = order.length - 1; i > 0; i--) {
        const j = Math.floor(this.next() * (i + 1));
        [order[i], order[j]] = [order[j], order[i]];
      }
    }
    for (let b = 0; b < this.length; b++)
      yield this.dataset.take(order.slice(b * this.batchSize, (b + 1) * this.batchSize));
  }
}
