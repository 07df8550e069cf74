/**
 * A sliding window along the spatial axes: kernel, stride, padding, dilation. The one place where the output-size formula
 * of convolutions and pools is written.
 */
import { expected, ShapeError, showShape } from "./errors.js";

/** One number per spatial axis; padding lists the begins, then the ends. */
export interface Window {
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
}

/** Pixels that a dilated kernel spans: dilation * (kernel - 1) + 1. */
export const span = (kernel: number, dilation: number): number => dilation * (kernel - 1) + 1;

/**
 * Output sizes of a window over spatial sizes:
 *
 *   out = floor((in + begin + end - span) / stride) + 1
 *
 * With `ceilMode` the division rounds up, unless the last window would then start in the end padding
 * (PyTorch's rule, and ONNX's).
 *
 * @throws {ShapeError} if the window is larger than the padded input
 */
export function windowOutput(
  where: string,
  input: readonly number[],
  window: Window,
  ceilMode = false,
): number[] {
  const axes = input.length;
  return input.map((size, axis) => {
    const begin = window.padding[axis];
    const end = window.padding[axes + axis];
    const stride = window.stride[axis];
    const reach = span(window.kernel[axis], window.dilation[axis]);
    const room = size + begin + end - reach;
    // Rounding up may still leave one window that hangs over the end.
    if (room < 0 && !(ceilMode && Math.ceil(room / stride) >= 0)) {
      throw new ShapeError(
        expected(
          where,
          `a padded input of at least ${reach} along spatial axis ${axis} (kernel ${window.kernel[axis]}, dilation ${window.dilation[axis]})`,
          `${size + begin + end} (input ${showShape(input)}, padding ${begin} + ${end})`,
        ),
      );
    }
    if (!ceilMode) return Math.floor(room / stride) + 1;
    const out = Math.ceil(room / stride) + 1;
    return (out - 1) * stride >= size + begin ? out - 1 : out;
  });
}

/** Begin and end padding that keep ceil(in / stride) outputs: the odd pixel goes to the end ("upper") or the begin ("lower"). */
export function samePadding(
  input: readonly number[],
  window: Pick<Window, "kernel" | "stride" | "dilation">,
  odd: "upper" | "lower" = "upper",
): number[] {
  const totals = input.map((size, axis) => {
    const stride = window.stride[axis];
    const out = Math.ceil(size / stride);
    return Math.max(
      0,
      (out - 1) * stride + span(window.kernel[axis], window.dilation[axis]) - size,
    );
  });
  const half = (n: number) => (odd === "upper" ? Math.floor(n / 2) : Math.ceil(n / 2));
  return [...totals.map(half), ...totals.map((n) => n - half(n))];
}
