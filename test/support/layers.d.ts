import type { TypedArray } from "../../src/core/dtype.js";
import type { Tensor } from "../../src/core/tensor.js";
import type * as F from "../../src/functional.js";

export interface Layer {
  readonly name: string;
  readonly op: string;
  readonly input: number[];
  readonly weight?: number[];
  readonly kernel?: number;
  readonly options?: object;
}

export const layers: readonly Layer[];
export function makeLayer(
  layer: Layer,
  library: { Tensor: typeof Tensor; functional: typeof F },
): {
  input: Tensor;
  run: (x: Tensor) => Tensor;
  part: (x: Tensor) => Tensor;
  channels: readonly number[];
};
export function pickChannels(
  elements: TypedArray,
  total: number,
  channels: readonly number[],
): Float32Array;
