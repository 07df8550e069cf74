/** Adam, and AdamW, whose weight decay does not go through the gradient. */
import { expected, OptionError, show } from "../core/errors.js";
import { checkOptions } from "../core/options.js";
import type { Tensor } from "../core/tensor.js";
import { Optimizer, readRate } from "./Optimizer.js";

export interface AdamOptions {
  /** Learning rate; default 0.001. */
  readonly lr?: number;
  /** How slowly the means of the gradient and of its square move; default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Added to the root of the squares; default 1e-8. */
  readonly eps?: number;
  /** Default 0 for Adam (an L2 penalty), 0.01 for AdamW (decoupled: p -= lr * weightDecay * p). */
  readonly weightDecay?: number;
}

/** @see torch.optim.Adam; Kingma and Ba 2015 (arXiv:1412.6980) */
export class Adam extends Optimizer {
  private readonly betas: readonly [number, number];
  private readonly eps: number;
  private readonly weightDecay: number;

  constructor(
    parameters: Iterable<Tensor>,
    options: AdamOptions = {},
    /** Set by AdamW. */
    private readonly decoupled = false,
  ) {
    const name = decoupled ? "AdamW" : "Adam";
    checkOptions(name, options, ["lr", "betas", "eps", "weightDecay"]);
    super(name, parameters, options.lr ?? 0.001);
    const betas = options.betas ?? [0.9, 0.999];
    if (!Array.isArray(betas) || betas.length !== 2)
      throw new OptionError(expected(name, 'two numbers for "betas"', show(betas)));
    this.betas = [readRate(name, "betas[0]", betas[0], 1), readRate(name, "betas[1]", betas[1], 1)];
    this.eps = readRate(name, "eps", options.eps ?? 1e-8);
    this.weightDecay = readRate(name, "weightDecay", options.weightDecay ?? (decoupled ? 0.01 : 0));
  }

  protected update(
    p: Float32Array,
    gradient: Float32Array,
    memory: (name: string) => Float32Array,
    step: number,
  ): void {
    const { lr, eps, weightDecay, decoupled } = this;
    const [b1, b2] = this.betas;
    const [mean, square] = [memory("mean"), memory("square")];
    // The means start at 0: early ones are too small by these factors.
    const [rate, scale] = [lr / (1 - b1 ** step), 1 / Math.sqrt(1 - b2 ** step)];
    const [n1, n2] = [1 - b1, 1 - b2];
    // The decay of the weights: on their own, or as a part of the gradient.
    const [keep, decay] = decoupled ? [1 - lr * weightDecay, 0] : [1, weightDecay];
    for (let i = 0; i < p.length; i++) {
      const w = keep * p[i];
      const g = gradient[i] + decay * w;
      mean[i] = b1 * mean[i] + n1 * g;
      square[i] = b2 * square[i] + n2 * g * g;
      p[i] = w - (rate * mean[i]) / (scale * Math.sqrt(square[i]) + eps);
    }
  }
}

/** Adam with decoupled weight decay. @see torch.optim.AdamW; Loshchilov and Hutter 2019 (arXiv:1711.05101) */
export class AdamW extends Adam {
  constructor(parameters: Iterable<Tensor>, options: AdamOptions = {}) {
    super(parameters, options, true);
  }
}
