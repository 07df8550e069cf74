/**
 * Learning-rate schedules: step() after each epoch (or each batch, as you count) sets the optimiser's lr to a function of how often it was called,
 * so that a schedule can be resumed by setting `epoch`.
 */
import { expected, OptionError, show } from "../core/errors.js";
import { readInt, readNumberOption } from "../core/options.js";

/** All that a schedule needs of an optimiser. */
interface HasRate {
  lr: number;
}

abstract class Schedule {
  /** Calls of step() so far; set it to resume. */
  epoch = 0;
  protected readonly base: number;
  constructor(private readonly optimizer: HasRate) {
    this.base = optimizer.lr;
  }
  /** The rate after `epoch` steps. */
  protected abstract rate(epoch: number): number;
  /** Moves on by one. */
  step(): void {
    this.epoch++;
    this.optimizer.lr = this.rate(this.epoch);
  }
}

/** lr times gamma after every stepSize epochs. @see torch.optim.lr_scheduler.StepLR */
export class StepLR extends Schedule {
  constructor(
    optimizer: HasRate,
    private readonly stepSize: number,
    private readonly gamma = 0.1,
  ) {
    super(optimizer);
    readInt("StepLR", "stepSize", stepSize, 1);
    readNumberOption("StepLR", "gamma", gamma);
  }
  protected rate(epoch: number): number {
    return this.base * this.gamma ** Math.floor(epoch / this.stepSize);
  }
}

/** Half a cosine from lr down to etaMin in tMax epochs. @see torch.optim.lr_scheduler.CosineAnnealingLR */
export class CosineAnnealingLR extends Schedule {
  constructor(
    optimizer: HasRate,
    private readonly tMax: number,
    private readonly etaMin = 0,
  ) {
    super(optimizer);
    readInt("CosineAnnealingLR", "tMax", tMax, 1);
    readNumberOption("CosineAnnealingLR", "etaMin", etaMin);
  }
  protected rate(epoch: number): number {
    return (
      this.etaMin + ((this.base - this.etaMin) * (1 + Math.cos((Math.PI * epoch) / this.tMax))) / 2
    );
  }
}

/** A warm-up: from lr * startFactor, in equal steps, to lr after totalIters epochs. @see torch.optim.lr_scheduler.LinearLR */
export class LinearLR extends Schedule {
  constructor(
    private readonly warmed: HasRate,
    private readonly startFactor = 1 / 3,
    private readonly totalIters = 5,
  ) {
    super(warmed);
    if (!(startFactor > 0 && startFactor <= 1))
      throw new OptionError(
        expected("LinearLR", 'a number above 0, at most 1, for "startFactor"', show(startFactor)),
      );
    readInt("LinearLR", "totalIters", totalIters, 1);
    this.warmed.lr = this.rate(0);
  }
  protected rate(epoch: number): number {
    const done = Math.min(1, epoch / this.totalIters);
    return this.base * (this.startFactor + (1 - this.startFactor) * done);
  }
}
