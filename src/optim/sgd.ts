/** Stochastic gradient descent. */
import { expected, OptionError } from "../core/errors.js";
import { checkOptions, readBoolean } from "../core/options.js";
import type { Tensor } from "../core/tensor.js";
import { Optimizer, readRate } from "./Optimizer.js";

export interface SGDOptions {
  /** Learning rate; default 0.001. */
  readonly lr?: number;
  /** Part of the last step that goes into the next, 0 to below 1; default 0. */
  readonly momentum?: number;
  /** How much less than a whole gradient goes into the momentum; default 0. */
  readonly dampening?: number;
  /** Pull of every parameter towards 0 (an L2 penalty); default 0. */
  readonly weightDecay?: number;
  /** Look ahead along the momentum; default false. */
  readonly nesterov?: boolean;
}

/**
 *   g = gradient + weightDecay * p;   v = momentum * v + (1 - dampening) * g (the first v is g);   p -= lr * (nesterov ? g + momentum * v : v)
 *
 * @see torch.optim.SGD
 */
export class SGD extends Optimizer {
  private readonly momentum: number;
  private readonly dampening: number;
  private readonly weightDecay: number;
  private readonly nesterov: boolean;

  constructor(parameters: Iterable<Tensor>, options: SGDOptions = {}) {
    checkOptions("SGD", options, ["lr", "momentum", "dampening", "weightDecay", "nesterov"]);
    super("SGD", parameters, options.lr ?? 0.001);
    this.momentum = readRate("SGD", "momentum", options.momentum ?? 0, 1);
    this.dampening = readRate("SGD", "dampening", options.dampening ?? 0);
    this.weightDecay = readRate("SGD", "weightDecay", options.weightDecay ?? 0);
    this.nesterov = readBoolean("SGD", "nesterov", options.nesterov ?? false);
    if (this.nesterov && (this.momentum === 0 || this.dampening !== 0))
      throw new OptionError(
        expected(
          "SGD",
          "momentum and no dampening with nesterov",
          `momentum ${this.momentum}, dampening ${this.dampening}`,
        ),
      );
  }

  protected update(
    p: Float32Array,
    gradient: Float32Array,
    memory: (name: string) => Float32Array,
  ): void {
    const { lr, momentum, dampening, weightDecay, nesterov } = this;
    if (momentum === 0) {
      for (let i = 0; i < p.length; i++) p[i] -= lr * (gradient[i] + weightDecay * p[i]);
      return;
    }
    const [v, started] = [memory("momentum"), memory("started")];
    const first = started[0] === 0;
    started[0] = 1;
    for (let i = 0; i < p.length; i++) {
      const g = gradient[i] + weightDecay * p[i];
      v[i] = first ? g : momentum * v[i] + (1 - dampening) * g;
      p[i] -= lr * (nesterov ? g + momentum * v[i] : v[i]);
    }
  }
}
