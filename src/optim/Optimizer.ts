/** Optimizer: what SGD and Adam share: parameters, a state per parameter that can be saved, zeroGrad. */
import { expected, OptionError, ShapeError, show, showShape, TensorError } from "../core/errors.js";
import { Tensor } from "../core/tensor.js";

/** What an optimiser needs to go on later exactly as if it had not stopped: tensors by name, and numbers. */
export interface OptimizerState {
  /** Steps taken. */
  readonly steps: number;
  readonly lr: number;
  /** "0.momentum": of the first parameter, ... */
  readonly tensors: Readonly<Record<string, Tensor>>;
}

/** A number within bounds; `open` leaves out the upper end. */
export function readRate(
  where: string,
  name: string,
  value: unknown,
  most = Number.POSITIVE_INFINITY,
): number {
  if (typeof value === "number" && value >= 0 && value < most) return value;
  const range = most === Number.POSITIVE_INFINITY ? ">= 0" : `from 0 to below ${most}`;
  throw new OptionError(expected(where, `a number ${range} for "${name}"`, show(value)));
}

export abstract class Optimizer {
  /** Learning rate: may be changed between steps, by hand or by a schedule. */
  lr: number;
  /** Steps taken. */
  protected steps = 0;
  readonly parameters: readonly Tensor[];
  private readonly state = new Map<Tensor, Record<string, Tensor>>();

  /** @param parameters  what is learned: a module's parameters(), or any float32 tensors that require gradients */
  constructor(
    protected readonly name: string,
    parameters: Iterable<Tensor>,
    lr: number,
  ) {
    this.parameters = [...parameters];
    this.lr = readRate(name, "lr", lr);
    if (this.parameters.length === 0)
      throw new OptionError(expected(name, "parameters to learn", "none"));
    for (const parameter of this.parameters) {
      if (
        !(parameter instanceof Tensor) ||
        parameter.dtype !== "float32" ||
        !parameter.requiresGrad ||
        parameter.step
      )
        throw new TensorError(
          expected(
            name,
            "float32 tensors that require gradients and that no op made",
            show(parameter),
          ),
        );
    }
  }

  /** Changes one parameter by its gradient. */
  protected abstract update(
    parameter: Float32Array,
    gradient: Float32Array,
    memory: (name: string) => Float32Array,
    step: number,
  ): void;

  /** Changes every parameter that has a gradient. */
  step(): void {
    this.steps++;
    for (const parameter of this.parameters) {
      const { grad } = parameter;
      if (!grad) continue;
      const memory = (name: string) => this.memoryOf(parameter, name).data as Float32Array;
      this.update(parameter.data as Float32Array, grad.data as Float32Array, memory, this.steps);
    }
  }

  /** Forgets all gradients: to be called before each backward(), which adds to them. */
  zeroGrad(): void {
    for (const parameter of this.parameters) parameter.grad = undefined;
  }

  private memoryOf(parameter: Tensor, name: string): Tensor {
    const memory = this.state.get(parameter) ?? {};
    this.state.set(parameter, memory);
    memory[name] ??= Tensor.zeros(parameter.shape);
    return memory[name];
  }

  /** Copies of all that the next steps depend on, besides the parameters themselves. saveSafetensors takes `tensors`. */
  stateDict(): OptimizerState {
    const tensors: Record<string, Tensor> = {};
    this.parameters.forEach((parameter, i) => {
      for (const [name, tensor] of Object.entries(this.state.get(parameter) ?? {}))
        tensors[`${i}.${name}`] = tensor.clone();
    });
    return { steps: this.steps, lr: this.lr, tensors };
  }

  /** @throws {OptionError | ShapeError} if the state is not of an optimiser over these parameters */
  loadStateDict(state: OptimizerState): void {
    const where = `${this.name}.loadStateDict`;
    const loaded = Object.entries(state.tensors).map(([key, tensor]) => {
      const [, index, name] = /^(\d+)\.(\w+)$/.exec(key) ?? [];
      const parameter = this.parameters[Number(index)];
      if (!parameter)
        throw new OptionError(
          expected(where, `names from "0." to "${this.parameters.length - 1}."`, show(key)),
        );
      if (tensor.shape.join() !== parameter.shape.join() || tensor.dtype !== "float32")
        throw new ShapeError(
          expected(
            where,
            `float32 ${showShape(parameter.shape)} for "${key}"`,
            `${tensor.dtype} ${showShape(tensor.shape)}`,
          ),
        );
      return { parameter, name, tensor: tensor.clone() };
    });
    this.steps = state.steps;
    this.lr = readRate(where, "lr", state.lr);
    this.state.clear();
    for (const { parameter, name, tensor } of loaded)
      this.state.set(parameter, { ...this.state.get(parameter), [name]: tensor });
  }
}
