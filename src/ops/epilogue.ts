/**
 * The epilogue of an op: what it does to each result before it stores it.
 *
 *   y = activation(result + residual)
 */
import type { Activation } from "../core/op.js";
import { sizeOf } from "../core/shape.js";
import { numbersOf, type Tensor, writeNumber } from "../core/tensor.js";
import { activationFunction } from "./unary.js";

/** Adds a residual of the same shape to y, in place. */
export function applyResidual(y: Tensor, residual: Tensor | undefined): void {
  if (residual === undefined) return;
  const [to, from] = [numbersOf(y), numbersOf(residual)];
  for (let i = 0; i < to.length; i++) writeNumber(y, i, to[i] + from[i]);
}

/** Applies an activation to every element of y, in place. */
export function applyActivation(y: Tensor, activation: Activation | undefined): void {
  if (activation === undefined) return;
  const numbers = numbersOf(y);
  if (activation.kind !== "prelu") {
    const f = activationFunction(activation);
    for (let i = 0; i < numbers.length; i++) writeNumber(y, i, f(numbers[i]));
    return;
  }
  const { slopes, scale, shift } = activation;
  const fs = slopes.map((alpha) => activationFunction({ kind: "leakyRelu", alpha, scale, shift }));
  const plane = sizeOf(y.shape.slice(2));
  for (let i = 0; i < numbers.length; i++)
    writeNumber(y, i, fs[Math.floor(i / plane) % fs.length](numbers[i]));
}
