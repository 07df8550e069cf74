/** Convolutions with weights of their own: Conv1d, Conv2d, ConvTranspose2d. */
import { expected, OptionError } from "../core/errors.js";
import { checkOptions, readBoolean, readInt, readInts } from "../core/options.js";
import { Tensor } from "../core/tensor.js";
import { type ConvOptions, conv1d, conv2d } from "../ops/conv2d.js";
import { type ConvTransposeOptions, convTranspose2d } from "../ops/convTranspose.js";
import { fanIn, kaimingUniform } from "./init.js";
import { Module, Parameter } from "./Module.js";

/** Options of the convolution layers: conv2d's, but bias says whether there is one (default true). */
export interface ConvLayerOptions extends Omit<ConvOptions, "bias"> {
  readonly bias?: boolean;
  /** For the first weights. */
  readonly seed?: number;
}

const NAMES = ["stride", "padding", "dilation", "groups", "paddingMode", "bias", "seed"];

/** Weights uniform in +-1 / sqrt(fan-in), bias too: PyTorch's start. */
function start(
  shape: readonly number[],
  channels: number,
  bias: boolean,
  seed: number | undefined,
): { weight: Parameter; bias?: Parameter } {
  const weight = new Parameter(kaimingUniform(Tensor.zeros(shape), { seed }));
  if (!bias) return { weight };
  const next = seed === undefined ? undefined : seed + 1;
  return {
    weight,
    bias: new Parameter(
      kaimingUniform(Tensor.zeros([channels]), { fan: fanIn(shape), seed: next }),
    ),
  };
}

function readChannels(
  layer: string,
  inChannels: number,
  outChannels: number,
  groups: number,
): void {
  readInt(layer, "inChannels", inChannels, 1);
  readInt(layer, "outChannels", outChannels, 1);
  if (inChannels % groups !== 0 || outChannels % groups !== 0) {
    throw new OptionError(
      expected(
        layer,
        `channels divisible by groups ${groups}`,
        `${inChannels} in, ${outChannels} out`,
      ),
    );
  }
}

/** What the convolution layers share; `axes` spatial axes. */
abstract class ConvLayer extends Module {
  /** (outChannels, inChannels / groups, kernel...) */
  readonly weight: Parameter;
  /** (outChannels,), or undefined */
  readonly bias: Parameter | undefined;
  readonly kernelSize: readonly number[];
  readonly options: Omit<ConvOptions, "bias">;

  constructor(
    axes: number,
    readonly inChannels: number,
    readonly outChannels: number,
    kernelSize: number | readonly number[],
    options: ConvLayerOptions,
  ) {
    super();
    const layer = new.target.name;
    checkOptions(layer, options, NAMES);
    const { bias = true, seed, ...rest } = options;
    const groups = readInt(layer, "groups", rest.groups ?? 1, 1);
    readChannels(layer, inChannels, outChannels, groups);
    this.kernelSize = readInts(layer, "kernelSize", kernelSize, axes, 1);
    this.options = rest;
    const made = start(
      [outChannels, inChannels / groups, ...this.kernelSize],
      outChannels,
      readBoolean(layer, "bias", bias),
      seed,
    );
    this.weight = made.weight;
    this.bias = made.bias;
  }

  protected override describe(): string {
    const options = Object.entries(this.options).map(
      ([name, value]) => `, ${name}=${Array.isArray(value) ? `(${value.join(", ")})` : value}`,
    );
    return `${this.inChannels}, ${this.outChannels}, kernelSize=(${this.kernelSize.join(", ")})${options.join("")}${this.bias ? "" : ", bias=false"}`;
  }
}

/**
 * A layer of 2-D cross-correlations, one kernel per output channel, with learned weight and bias.
 *
 * @example new Conv2d(3, 16, 3, { padding: 1 }).forward(x)  // (N, 3, H, W) -> (N, 16, H, W)
 * @see torch.nn.Conv2d
 */
export class Conv2d extends ConvLayer {
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: number | readonly number[],
    options: ConvLayerOptions = {},
  ) {
    super(2, inChannels, outChannels, kernelSize, options);
  }
  forward(x: Tensor): Tensor {
    return conv2d(x, this.weight, { ...this.options, bias: this.bias });
  }
}

/** Conv2d for signals (N, C, L). @see torch.nn.Conv1d */
export class Conv1d extends ConvLayer {
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: number,
    options: ConvLayerOptions = {},
  ) {
    super(1, inChannels, outChannels, kernelSize, options);
  }
  forward(x: Tensor): Tensor {
    return conv1d(x, this.weight, { ...this.options, bias: this.bias });
  }
}

export interface ConvTransposeLayerOptions extends Omit<ConvTransposeOptions, "bias"> {
  readonly bias?: boolean;
  readonly seed?: number;
}

/** A transposed convolution: makes images larger. @see torch.nn.ConvTranspose2d */
export class ConvTranspose2d extends Module {
  /** (inChannels, outChannels / groups, Kh, Kw) */
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;
  readonly kernelSize: readonly number[];
  readonly options: Omit<ConvTransposeOptions, "bias">;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    kernelSize: number | readonly number[],
    options: ConvTransposeLayerOptions = {},
  ) {
    super();
    checkOptions("ConvTranspose2d", options, [
      "stride",
      "padding",
      "outputPadding",
      "dilation",
      "groups",
      "bias",
      "seed",
    ]);
    const { bias = true, seed, ...rest } = options;
    const groups = readInt("ConvTranspose2d", "groups", rest.groups ?? 1, 1);
    readChannels("ConvTranspose2d", inChannels, outChannels, groups);
    this.kernelSize = readInts("ConvTranspose2d", "kernelSize", kernelSize, 2, 1);
    this.options = rest;
    const made = start(
      [inChannels, outChannels / groups, ...this.kernelSize],
      outChannels,
      readBoolean("ConvTranspose2d", "bias", bias),
      seed,
    );
    this.weight = made.weight;
    this.bias = made.bias;
  }

  forward(x: Tensor): Tensor {
    return convTranspose2d(x, this.weight, { ...this.options, bias: this.bias });
  }

  protected override describe(): string {
    return `${this.inChannels}, ${this.outChannels}, kernelSize=(${this.kernelSize.join(", ")})`;
  }
}
