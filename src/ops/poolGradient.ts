/**
 * How the loss changes with the input of a pool: a maximum passes the change on to the element that won, a mean to all in equal parts.
 * One definition for 2-D and 3-D.
 */
import type { OpDef } from "../core/op.js";
import { sizeOf } from "../core/shape.js";
import { windowOutput } from "../core/window.js";
import { checkCount, checkFloat, checkShapeIs } from "./shared.js";
import { type AvgPoolAttrs, averageDivisor, forEachWindow, type MaxPoolAttrs } from "./windows.js";

/** (x, gradient of the result) -> gradient of x. The first of equal maxima wins, NaN before all, as in the forward loops. */
function defineMaxPoolGradient(name: string): OpDef<MaxPoolAttrs> {
  return {
    name,
    infer(inputs, attrs) {
      checkCount(name, inputs, 2);
      checkFloat(name, inputs);
      const [x, dy] = inputs;
      const out = windowOutput(name, x.shape.slice(2), attrs, attrs.ceilMode);
      checkShapeIs(name, "output gradient", dy, [x.shape[0], x.shape[1], ...out]);
      return [{ dtype: x.dtype, shape: x.shape }];
    },
    reference([x, dy], attrs, [dx]) {
      const [spatial, out] = [x.shape.slice(2), dy.shape.slice(2)];
      const [inSize, outSize] = [sizeOf(spatial), sizeOf(out)];
      const [from, change, to] = [x, dy, dx].map((t) => t.data as Float32Array);
      to.fill(0);
      forEachWindow(spatial, out, attrs, (o, places) => {
        for (let plane = 0; plane < x.shape[0] * x.shape[1]; plane++) {
          let best = -1;
          for (const place of places) {
            const value = from[plane * inSize + place];
            if (best < 0 || value > from[plane * inSize + best] || Number.isNaN(value))
              best = place;
            if (Number.isNaN(value)) break;
          }
          if (best >= 0) to[plane * inSize + best] += change[plane * outSize + o];
        }
      });
    },
  };
}

export interface AvgPoolGradientAttrs extends AvgPoolAttrs {
  readonly inputShape: readonly number[];
}

/** (gradient of the result) -> gradient of the input. */
function defineAvgPoolGradient(name: string): OpDef<AvgPoolGradientAttrs> {
  return {
    name,
    infer(inputs, attrs) {
      checkCount(name, inputs, 1);
      checkFloat(name, inputs);
      const out = windowOutput(name, attrs.inputShape.slice(2), attrs, attrs.ceilMode);
      checkShapeIs(name, "output gradient", inputs[0], [...attrs.inputShape.slice(0, 2), ...out]);
      return [{ dtype: inputs[0].dtype, shape: attrs.inputShape }];
    },
    reference([dy], attrs, [dx]) {
      const [spatial, out] = [dx.shape.slice(2), dy.shape.slice(2)];
      const [inSize, outSize] = [sizeOf(spatial), sizeOf(out)];
      const [change, to] = [dy, dx].map((t) => t.data as Float32Array);
      to.fill(0);
      forEachWindow(spatial, out, attrs, (o, places, at) => {
        const share = 1 / averageDivisor(attrs, spatial, places.length, at);
        for (let plane = 0; plane < dx.shape[0] * dx.shape[1]; plane++) {
          const part = change[plane * outSize + o] * share;
          for (const place of places) to[plane * inSize + place] += part;
        }
      });
    },
  };
}

/** By the number of spatial axes. */
export const maxPoolGradientOps = {
  2: defineMaxPoolGradient("maxPool2dGradient"),
  3: defineMaxPoolGradient("maxPool3dGradient"),
} as const;
export const avgPoolGradientOps = {
  2: defineAvgPoolGradient("avgPool2dGradient"),
  3: defineAvgPoolGradient("avgPool3dGradient"),
} as const;
