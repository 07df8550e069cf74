/** Linear, BatchNorm2d, pools, shapes, and Sequential. */
import { expected, OptionError, show } from "../core/errors.js";
import { checkOptions, readBoolean, readInt, readNumberOption } from "../core/options.js";
import { randomSource, Tensor } from "../core/tensor.js";
import { mul } from "../ops/binary.js";
import { flatten } from "../ops/data.js";
import { adaptiveAvgPool2d, adaptiveMaxPool2d } from "../ops/globalPool.js";
import { linear } from "../ops/linear.js";
import { batchNorm, localResponseNorm } from "../ops/norm.js";
import { type AvgPoolOptions, avgPool2d, type MaxPoolOptions, maxPool2d } from "../ops/pool.js";
import { type InterpolateOptions, interpolate } from "../ops/resize.js";
import { kaimingUniform } from "./init.js";
import { Module, Parameter } from "./Module.js";

/** A fully connected layer. @see torch.nn.Linear */
export class Linear extends Module {
  /** (outFeatures, inFeatures) */
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;
  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options: { bias?: boolean; seed?: number } = {},
  ) {
    super();
    checkOptions("Linear", options, ["bias", "seed"]);
    readInt("Linear", "inFeatures", inFeatures, 1);
    readInt("Linear", "outFeatures", outFeatures, 1);
    const { bias = true, seed } = options;
    this.weight = new Parameter(kaimingUniform(Tensor.zeros([outFeatures, inFeatures]), { seed }));
    const next = seed === undefined ? undefined : seed + 1;
    this.bias = readBoolean("Linear", "bias", bias)
      ? new Parameter(kaimingUniform(Tensor.zeros([outFeatures]), { fan: inFeatures, seed: next }))
      : undefined;
  }
  forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias);
  }
  protected override describe(): string {
    return `${this.inFeatures}, ${this.outFeatures}${this.bias ? "" : ", bias=false"}`;
  }
}

/** Normalises each channel: while training with the batch's statistics, else with the running ones. @see torch.nn.BatchNorm2d */
export class BatchNorm2d extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly runningMean: Tensor;
  readonly runningVar: Tensor;
  readonly eps: number;
  readonly momentum: number;
  constructor(
    readonly channels: number,
    options: { eps?: number; momentum?: number } = {},
  ) {
    super();
    checkOptions("BatchNorm2d", options, ["eps", "momentum"]);
    this.momentum = readNumberOption("BatchNorm2d", "momentum", options.momentum ?? 0.1);
    readInt("BatchNorm2d", "channels", channels, 1);
    this.eps = readNumberOption("BatchNorm2d", "eps", options.eps ?? 1e-5);
    this.weight = new Parameter(Tensor.ones([channels]));
    this.bias = new Parameter(Tensor.zeros([channels]));
    this.runningMean = Tensor.zeros([channels]);
    this.runningVar = Tensor.ones([channels]);
  }
  forward(x: Tensor): Tensor {
    return batchNorm(x, this.runningMean, this.runningVar, {
      weight: this.weight,
      bias: this.bias,
      eps: this.eps,
      training: this.training,
      momentum: this.momentum,
    });
  }
  protected override describe(): string {
    return `${this.channels}, eps=${this.eps}, momentum=${this.momentum}`;
  }
}

/** While training, zeroes each element with probability p and scales the rest by 1 / (1 - p); else nothing. @see torch.nn.Dropout */
export class Dropout extends Module {
  private readonly next: () => number;
  constructor(
    readonly p = 0.5,
    options: { seed?: number } = {},
  ) {
    super();
    checkOptions("Dropout", options, ["seed"]);
    if (!(p >= 0 && p < 1))
      throw new OptionError(expected("Dropout", 'a number from 0 to below 1 for "p"', show(p)));
    this.next = randomSource(options.seed);
  }
  forward(x: Tensor): Tensor {
    if (!this.training || this.p === 0) return x;
    const mask = Tensor.zeros(x.shape, x.dtype);
    for (let i = 0; i < mask.size; i++) mask.data[i] = this.next() < this.p ? 0 : 1 / (1 - this.p);
    return mul(x, mask);
  }
  protected override describe(): string {
    return `p=${this.p}`;
  }
}

const showSize = (size: number | readonly (number | null)[]): string =>
  typeof size === "number" ? `${size}` : `(${size.join(", ")})`;
const showOptions = (options: object): string =>
  Object.entries(options)
    .map(([name, value]) => `, ${name}=${Array.isArray(value) ? `(${value.join(", ")})` : value}`)
    .join("");

/** @see torch.nn.MaxPool2d */
export class MaxPool2d extends Module {
  constructor(
    readonly kernelSize: number | readonly number[],
    readonly options: MaxPoolOptions = {},
  ) {
    super();
    checkOptions("MaxPool2d", options, ["stride", "padding", "dilation", "ceilMode"]);
  }
  forward(x: Tensor): Tensor {
    return maxPool2d(x, this.kernelSize, this.options);
  }
  protected override describe(): string {
    return `kernelSize=${showSize(this.kernelSize)}${showOptions(this.options)}`;
  }
}

/** @see torch.nn.AvgPool2d */
export class AvgPool2d extends Module {
  constructor(
    readonly kernelSize: number | readonly number[],
    readonly options: AvgPoolOptions = {},
  ) {
    super();
    checkOptions("AvgPool2d", options, [
      "stride",
      "padding",
      "ceilMode",
      "countIncludePad",
      "divisorOverride",
    ]);
  }
  forward(x: Tensor): Tensor {
    return avgPool2d(x, this.kernelSize, this.options);
  }
  protected override describe(): string {
    return `kernelSize=${showSize(this.kernelSize)}${showOptions(this.options)}`;
  }
}

/** @see torch.nn.AdaptiveAvgPool2d */
export class AdaptiveAvgPool2d extends Module {
  constructor(readonly outputSize: number | readonly (number | null)[]) {
    super();
  }
  forward(x: Tensor): Tensor {
    return adaptiveAvgPool2d(x, this.outputSize);
  }
  protected override describe(): string {
    return `outputSize=${showSize(this.outputSize)}`;
  }
}

/** @see torch.nn.AdaptiveMaxPool2d */
export class AdaptiveMaxPool2d extends Module {
  constructor(readonly outputSize: number | readonly (number | null)[]) {
    super();
  }
  forward(x: Tensor): Tensor {
    return adaptiveMaxPool2d(x, this.outputSize);
  }
  protected override describe(): string {
    return `outputSize=${showSize(this.outputSize)}`;
  }
}

/** @see torch.nn.LocalResponseNorm */
export class LocalResponseNorm extends Module {
  constructor(
    readonly size: number,
    readonly options: { alpha?: number; beta?: number; k?: number } = {},
  ) {
    super();
  }
  forward(x: Tensor): Tensor {
    return localResponseNorm(x, this.size, this.options);
  }
  protected override describe(): string {
    return `${this.size}${showOptions(this.options)}`;
  }
}

/** @see torch.nn.Upsample */
export class Upsample extends Module {
  constructor(readonly options: InterpolateOptions) {
    super();
  }
  forward(x: Tensor): Tensor {
    return interpolate(x, this.options);
  }
  protected override describe(): string {
    return showOptions(this.options).slice(2);
  }
}

/** All axes but the first as one. @see torch.nn.Flatten */
export class Flatten extends Module {
  constructor(
    readonly startDim = 1,
    readonly endDim = -1,
  ) {
    super();
  }
  forward(x: Tensor): Tensor {
    return flatten(x, this.startDim, this.endDim);
  }
  protected override describe(): string {
    return `startDim=${this.startDim}, endDim=${this.endDim}`;
  }
}

/** Hands on its input. */
export class Identity extends Module {
  forward(x: Tensor): Tensor {
    return x;
  }
}

/** Layers one after the other, named by their numbers. @see torch.nn.Sequential */
export class Sequential extends Module {
  readonly layers: readonly Module[];
  constructor(...layers: Module[]) {
    super();
    for (const layer of layers) {
      if (!(layer instanceof Module))
        throw new OptionError(expected("Sequential", "layers", show(layer)));
    }
    this.layers = layers;
  }
  override *namedChildren(): Generator<[string, Module]> {
    for (const [i, layer] of this.layers.entries()) yield [String(i), layer];
  }
  forward(x: Tensor): Tensor {
    return this.layers.reduce((value, layer) => layer.forward(value), x);
  }
}
