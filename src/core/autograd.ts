/**
 * Reverse-mode gradients. An op on tensors that require gradients leaves a Step on its outputs: what was run, on what. backward() walks
 * from a result back through the steps and sums, for every leaf, how the result changes with it.
 *
 * Steps hang on tensors, not on a global list: results that nobody keeps take their steps with them.
 */
import { expected, GradientError, ShapeError, showShape, TensorError } from "./errors.js";
import { isGradEnabled, noGrad } from "./gradMode.js";
import type { OpDef } from "./op.js";
import { sameShape } from "./shape.js";
import { type GradientStep, Tensor } from "./tensor.js";

declare module "./tensor.js" {
  interface Tensor {
    /**
     * Adds to `grad` of every leaf that this tensor came from: the gradient of this tensor with respect to it.
     *
     * @param gradient  what this tensor is weighted with, of its shape; may be left off for a tensor of one element (then 1)
     * @throws {GradientError} if nothing was recorded, or was freed by an earlier backward()
     */
    backward(gradient?: Tensor, options?: BackwardOptions): void;
  }
}

export interface BackwardOptions {
  /** Keeps the recording, so that backward() can run through it again. Default false. */
  readonly retainGraph?: boolean;
}

/** Records an op on its outputs, if one of its inputs requires gradients. */
export function recordStep(
  op: OpDef,
  inputs: readonly Tensor[],
  attrs: object,
  outputs: readonly Tensor[],
): void {
  if (!isGradEnabled() || !inputs.some((t) => t.requiresGrad)) return;
  const floats = outputs.filter(({ dtype }) => dtype === "float32" || dtype === "float64");
  if (floats.length === 0) return;
  const step: GradientStep = {
    name: op.name,
    inputs,
    gradient: (outputGradients) => {
      if (!op.gradient) {
        throw new GradientError(
          expected(
            "backward",
            "ops that have a gradient",
            op.name,
            "take it out of the loss, or run it within noGrad",
          ),
        );
      }
      const needs = inputs.map((t) => t.requiresGrad);
      const given = outputs.map((t) => outputGradients.get(t) ?? Tensor.zeros(t.shape, t.dtype));
      return op.gradient({ inputs, attrs, outputs, outputGradients: given, needs });
    },
  };
  for (const output of floats) {
    output.requiresGrad = true;
    output.step = step;
  }
}

/** The steps that a tensor came from, each after all that it was made of. */
function stepsBehind(root: Tensor): GradientStep[] {
  const ordered: GradientStep[] = [];
  const seen = new Set<GradientStep>();
  const stack: { step: GradientStep; next: number }[] = [];
  const visit = (tensor: Tensor): void => {
    const { step } = tensor;
    if (!step || seen.has(step)) return;
    if (step.freed) {
      throw new GradientError(
        expected(
          "backward",
          "a recording",
          `one of ${step.name} that an earlier backward() freed`,
          "pass { retainGraph: true } to the earlier one",
        ),
      );
    }
    seen.add(step);
    stack.push({ step, next: 0 });
  };
  visit(root);
  while (stack.length > 0) {
    const top = stack[stack.length - 1];
    if (top.next < top.step.inputs.length) visit(top.step.inputs[top.next++]);
    else {
      ordered.push(top.step);
      stack.pop();
    }
  }
  return ordered;
}

/** sum += gradient, in place. */
function addTo(sum: Tensor, gradient: Tensor): Tensor {
  const [to, from] = [sum.data as Float32Array, gradient.data as Float32Array];
  for (let i = 0; i < to.length; i++) to[i] += from[i];
  return sum;
}

function startGradient(root: Tensor, gradient: Tensor | undefined): Tensor {
  if (!root.requiresGrad) {
    throw new GradientError(
      expected(
        "backward",
        "a tensor made of tensors that require gradients",
        "one that is not",
        "set requiresGrad = true on what should be learned, before it is used",
      ),
    );
  }
  if (gradient === undefined) {
    if (root.size !== 1) {
      throw new ShapeError(
        expected(
          "backward",
          "a tensor of one element",
          showShape(root.shape),
          "pass the gradient of what you want to minimise, or reduce it first: mean(x)",
        ),
      );
    }
    return Tensor.full(root.shape, 1, root.dtype);
  }
  if (!sameShape(gradient.shape, root.shape))
    throw new ShapeError(
      expected(
        "backward",
        `a gradient of shape ${showShape(root.shape)}`,
        showShape(gradient.shape),
      ),
    );
  if (gradient.dtype !== root.dtype)
    throw new TensorError(
      expected("backward", `a gradient of dtype ${root.dtype}`, gradient.dtype),
    );
  return gradient;
}

Tensor.prototype.backward = function (
  this: Tensor,
  gradient?: Tensor,
  { retainGraph = false }: BackwardOptions = {},
): void {
  const start = startGradient(this, gradient);
  const steps = stepsBehind(this);
  const gradients = new Map<Tensor, Tensor>([[this, start]]);
  // Sums that are ours to add to. A gradient that came alone stays as the op gave it, which may be the same tensor for several inputs.
  const owned = new Set<Tensor>();
  noGrad(() => {
    for (const step of steps.reverse()) {
      const inputGradients = step.gradient(gradients);
      step.inputs.forEach((input, i) => {
        const one = inputGradients[i];
        if (!input.requiresGrad || !one) return;
        const sum = gradients.get(input);
        if (!sum) gradients.set(input, one);
        else if (owned.has(sum)) addTo(sum, one);
        else {
          const copy = addTo(sum.clone(), one);
          owned.add(copy);
          gradients.set(input, copy);
        }
      });
    }
  });
  for (const [tensor, sum] of gradients)
    if (!tensor.step && tensor.requiresGrad)
      tensor.grad = tensor.grad ? addTo(tensor.grad, sum) : sum.clone();
  if (retainGraph) return;
  for (const step of steps) {
    step.freed = true;
    step.inputs = [];
    step.gradient = () => [];
  }
};
