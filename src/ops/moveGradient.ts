/**
 * The gradient of ops that only move numbers (slice, transpose, pad, gather, ...): y[i] = x[p(i)], so dx[p(i)] += dy[i]. Where a number comes
 * from is found by moving the places themselves: the op run on 1, 2, 3, ...; what is filled in (padding) gives 0.
 */
import type { GradientRequest, OpDef } from "../core/op.js";
import { Tensor } from "../core/tensor.js";

/**
 * @param op     an op whose first input's numbers move; others say where (indices)
 * @param attrs  for the run on places, where they differ from the attributes as they are: a pad must fill in 0
 */
export function moveGradient<Attrs extends object>(
  op: OpDef<Attrs>,
  { inputs, attrs, outputs, outputGradients }: GradientRequest<Attrs>,
  placesAttrs: Attrs = attrs,
): (Tensor | undefined)[] {
  const [x, ...rest] = inputs;
  const places = Tensor.zeros(x.shape, "float64");
  for (let i = 0; i < x.size; i++) places.data[i] = i + 1;
  const moved = outputs.map(({ shape }) => Tensor.zeros(shape, "float64"));
  op.reference([places, ...rest], placesAttrs, moved);
  const gradient = Tensor.zeros(x.shape, x.dtype);
  const to = gradient.data as Float32Array;
  moved.forEach((from, k) => {
    const dy = outputGradients[k].data as Float32Array;
    for (let i = 0; i < dy.length; i++) {
      const place = (from.data[i] as number) - 1;
      if (place >= 0) to[place] += dy[i];
    }
  });
  return [gradient, ...rest.map(() => undefined)];
}
