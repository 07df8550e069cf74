/** Windows that slide over the spatial axes: where each one looks. */
import { forEachIndex, stridesOf } from "../core/shape.js";
import type { Window } from "../core/window.js";

export interface PoolAttrs extends Window {
  readonly ceilMode: boolean;
}

export interface MaxPoolAttrs extends PoolAttrs {
  /** What the second output counts in: elements of one channel's plane, of the whole tensor, or not at all. */
  readonly indices: "none" | "plane" | "tensor" | "tensorColumnMajor";
}

export interface AvgPoolAttrs extends PoolAttrs {
  readonly countIncludePad: boolean;
  /** Divides by this instead of the window's size; 0: by the window's size. */
  readonly divisorOverride: number;
}

/** Calls `see` for each output with the flat places (within the plane) of the input elements that its window covers. */
export function forEachWindow(
  spatial: readonly number[],
  out: readonly number[],
  attrs: Window,
  see: (o: number, places: readonly number[], at: readonly number[]) => void,
): void {
  const strides = stridesOf(spatial);
  forEachIndex(out, (position, o) => {
    const places: number[] = [];
    forEachIndex(attrs.kernel, (tap) => {
      let place = 0;
      for (let a = 0; a < spatial.length; a++) {
        const at = position[a] * attrs.stride[a] + tap[a] * attrs.dilation[a] - attrs.padding[a];
        if (at < 0 || at >= spatial[a]) return;
        place += at * strides[a];
      }
      places.push(place);
    });
    see(o, places, position);
  });
}

/** What a mean divides by: the elements seen, or with countIncludePad also those in the padding (not beyond it, in ceil mode). */
export function averageDivisor(
  attrs: AvgPoolAttrs,
  spatial: readonly number[],
  seen: number,
  at: readonly number[],
): number {
  if (attrs.divisorOverride) return attrs.divisorOverride;
  if (!attrs.countIncludePad) return seen;
  return spatial.reduce((product, size, a) => {
    const start = at[a] * attrs.stride[a] - attrs.padding[a];
    const end = size + attrs.padding[spatial.length + a];
    let taps = 0;
    for (let k = 0; k < attrs.kernel[a]; k++) if (start + k * attrs.dilation[a] < end) taps++;
    return product * taps;
  }, 1);
}
