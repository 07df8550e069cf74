/** Gradient clipping. */
import { expected, GradientError } from "../core/errors.js";
import { readNumberOption } from "../core/options.js";
import type { Tensor } from "../core/tensor.js";

const gradientsOf = (parameters: Iterable<Tensor>): Float32Array[] =>
  [...parameters].flatMap(({ grad }) => (grad ? [grad.data as Float32Array] : []));

/**
 * Scales all gradients by one factor so that their common L2 norm is at most maxNorm.
 *
 * @returns the norm before
 * @throws {GradientError} if the norm is not finite: clipping would hide it
 * @see torch.nn.utils.clip_grad_norm_ with error_if_nonfinite=True
 */
export function clipGradNorm(parameters: Iterable<Tensor>, maxNorm: number): number {
  readNumberOption("clipGradNorm", "maxNorm", maxNorm);
  const gradients = gradientsOf(parameters);
  let squares = 0;
  for (const g of gradients) for (let i = 0; i < g.length; i++) squares += g[i] * g[i];
  const norm = Math.sqrt(squares);
  if (!Number.isFinite(norm))
    throw new GradientError(
      expected("clipGradNorm", "finite gradients", `a norm of ${norm}`, "lower the learning rate"),
    );
  const factor = maxNorm / (norm + 1e-6);
  if (factor < 1) for (const g of gradients) for (let i = 0; i < g.length; i++) g[i] *= factor;
  return norm;
}

/** Limits each element of the gradients to -clipValue .. clipValue. @see torch.nn.utils.clip_grad_value_ */
export function clipGradValue(parameters: Iterable<Tensor>, clipValue: number): void {
  readNumberOption("clipGradValue", "clipValue", clipValue);
  for (const g of gradientsOf(parameters))
    for (let i = 0; i < g.length; i++) g[i] = Math.min(clipValue, Math.max(-clipValue, g[i]));
}
