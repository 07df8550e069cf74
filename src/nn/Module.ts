/**
 * Module: a layer, or layers put together. Parameters and buffers are the Tensor properties of a module, children its Module properties,
 * both named as the properties are.
 */
import { expected, OptionError, ShapeError, showShape } from "../core/errors.js";
import { nearest } from "../core/options.js";
import { Tensor } from "../core/tensor.js";

/** A tensor that is learned. */
export class Parameter extends Tensor {
  /** Wraps the tensor's data: the two share memory. */
  constructor(tensor: Tensor) {
    super(tensor.data, tensor.shape, tensor.dtype);
    this.requiresGrad = true;
  }
}

/** Tensors by path: "0.weight". */
export type StateDict = Record<string, Tensor>;

export abstract class Module {
  /** Layers that behave differently while learning (BatchNorm2d, Dropout) look at this. Default true; set by train() and eval(). */
  training = true;

  abstract forward(...inputs: Tensor[]): Tensor;

  /** What toString shows between the brackets. */
  protected describe(): string {
    return "";
  }

  /** Direct children, by name. */
  *namedChildren(): Generator<[string, Module]> {
    for (const [name, value] of Object.entries(this))
      if (value instanceof Module) yield [name, value];
  }

  /** Tensors of this module and all below it, by path: parameters, and buffers (running statistics). */
  *namedTensors(prefix = ""): Generator<[string, Tensor]> {
    for (const [name, value] of Object.entries(this))
      if (value instanceof Tensor) yield [prefix + name, value];
    for (const [name, child] of this.namedChildren())
      yield* child.namedTensors(`${prefix}${name}.`);
  }

  /** Learned tensors, by path. */
  *namedParameters(): Generator<[string, Parameter]> {
    for (const [name, tensor] of this.namedTensors())
      if (tensor instanceof Parameter) yield [name, tensor];
  }

  /** Learned tensors. */
  *parameters(): Generator<Parameter> {
    for (const [, tensor] of this.namedParameters()) yield tensor;
  }

  /** This module and all below it, each once. */
  *modules(): Generator<Module> {
    yield this;
    for (const [, child] of this.namedChildren()) yield* child.modules();
  }

  /** Sets the mode of this module and all below it: learning, or (eval) use. */
  train(on = true): this {
    for (const module of this.modules()) module.training = on;
    return this;
  }

  /** train(false). */
  eval(): this {
    return this.train(false);
  }

  /** Forgets the gradients of all parameters. */
  zeroGrad(): void {
    for (const parameter of this.parameters()) parameter.grad = undefined;
  }

  /** All tensors by path; they share memory with the module. */
  stateDict(): StateDict {
    return Object.fromEntries(this.namedTensors());
  }

  /**
   * Copies tensors into the module's own.
   *
   * @param strict  default true: every name must be on both sides
   * @throws {OptionError} for a missing or unknown name
   * @throws {ShapeError} for a tensor of another shape
   */
  loadStateDict(state: Readonly<StateDict>, { strict = true }: { strict?: boolean } = {}): void {
    const own = new Map(this.namedTensors());
    for (const [name, tensor] of Object.entries(state)) {
      const target = own.get(name);
      if (!target) {
        if (!strict) continue;
        const near = nearest(name, [...own.keys()]);
        throw new OptionError(
          expected(
            "loadStateDict",
            "names of the module's tensors",
            `"${name}"`,
            near && `did you mean "${near}"?`,
          ),
        );
      }
      if (target.shape.join() !== tensor.shape.join() || target.dtype !== tensor.dtype) {
        throw new ShapeError(
          expected(
            "loadStateDict",
            `${target.dtype} ${showShape(target.shape)} for "${name}"`,
            `${tensor.dtype} ${showShape(tensor.shape)}`,
          ),
        );
      }
    }
    const missing = [...own.keys()].filter((name) => !(name in state));
    if (strict && missing.length > 0) {
      throw new OptionError(
        expected(
          "loadStateDict",
          `tensors for ${missing.map((n) => `"${n}"`).join(", ")}`,
          "none",
          "pass { strict: false } to keep their values",
        ),
      );
    }
    // Checked as a whole first: a state that does not fit changes nothing.
    for (const [name, tensor] of Object.entries(state))
      own.get(name)?.data.set(tensor.data as never);
  }

  /** The layers as PyTorch prints them. */
  toString(): string {
    const children = [...this.namedChildren()];
    const name = this.constructor.name;
    if (children.length === 0) return `${name}(${this.describe()})`;
    const lines = children.map(
      ([key, child]) => `  (${key}): ${child.toString().replaceAll("\n", "\n  ")}`,
    );
    return `${name}(\n${lines.join("\n")}\n)`;
  }
}
