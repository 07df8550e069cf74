/** Losses: one number that says how far an answer is from the target. Each is built from ops, so its gradient comes by itself. */
import { expected, OptionError, ShapeError, showShape, TensorError } from "../core/errors.js";
import { checkOptions, readChoice, readInt, readNumberOption } from "../core/options.js";
import { sameShape } from "../core/shape.js";
import { readNumber, Tensor } from "../core/tensor.js";
import { add, mul, sub } from "./binary.js";
import { reshape } from "./data.js";
import { gatherElements } from "./gather.js";
import { mean, sumOf } from "./reduce.js";
import { logSoftmax } from "./softmax.js";
import { abs, exp, log, neg, relu } from "./unary.js";

export interface LossOptions {
  /** What becomes of the losses of single elements: their mean (default), their sum, or a tensor of all. */
  readonly reduction?: "mean" | "sum" | "none";
}

export interface ClassLossOptions extends LossOptions {
  /** Targets of this class do not count; default -100. */
  readonly ignoreIndex?: number;
}

export interface CrossEntropyOptions extends ClassLossOptions {
  /** Part of the target that is spread evenly over all classes, 0 to 1; default 0. */
  readonly labelSmoothing?: number;
}

function reduce(where: string, losses: Tensor, reduction: unknown): Tensor {
  const how = readChoice(where, "reduction", reduction ?? "mean", ["mean", "sum", "none"]);
  return how === "none" ? losses : how === "sum" ? sumOf(losses) : mean(losses);
}

function checkSame(where: string, input: Tensor, target: Tensor): void {
  if (!sameShape(input.shape, target.shape))
    throw new ShapeError(
      expected(
        where,
        `a target of the input's shape ${showShape(input.shape)}`,
        showShape(target.shape),
      ),
    );
}

/**
 * Mean of (input - target)^2.
 *
 * @param target  of the input's shape
 * @see torch.nn.functional.mse_loss
 */
export function mseLoss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  checkOptions("mseLoss", options, ["reduction"]);
  checkSame("mseLoss", input, target);
  const difference = sub(input, target);
  return reduce("mseLoss", mul(difference, difference), options.reduction);
}

/** Mean of |input - target|. @see torch.nn.functional.l1_loss */
export function l1Loss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  checkOptions("l1Loss", options, ["reduction"]);
  checkSame("l1Loss", input, target);
  return reduce("l1Loss", abs(sub(input, target)), options.reduction);
}

/**
 * Cross entropy of sigmoid(logits) with targets from 0 to 1: max(x, 0) - x * target + log(1 + exp(-|x|)), which never overflows.
 *
 * @see torch.nn.functional.binary_cross_entropy_with_logits
 */
export function bceWithLogits(logits: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  checkOptions("bceWithLogits", options, ["reduction"]);
  checkSame("bceWithLogits", logits, target);
  const one = Tensor.full([], 1, logits.dtype);
  const tail = log(add(exp(neg(abs(logits))), one));
  return reduce(
    "bceWithLogits",
    add(sub(relu(logits), mul(logits, target)), tail),
    options.reduction,
  );
}

/** Target classes as indices for gatherElements, and a weight of 0 for those to ignore. */
function readClasses(
  where: string,
  scores: Tensor,
  target: Tensor,
  ignore: number,
): { indices: Tensor; weights: Tensor } {
  const [batch, classes, ...rest] = scores.shape;
  if (scores.rank < 2 || !sameShape(target.shape, [batch, ...rest])) {
    throw new ShapeError(
      expected(
        where,
        `scores (N, C, ...) and a class for each, ${showShape([batch, ...rest])}`,
        `${showShape(scores.shape)} and ${showShape(target.shape)}`,
      ),
    );
  }
  if (target.dtype !== "int64" && target.dtype !== "int32" && target.dtype !== "uint8")
    throw new TensorError(expected(where, "classes of dtype int64, int32 or uint8", target.dtype));
  const indices = Tensor.zeros([batch, 1, ...rest], "int32");
  const weights = Tensor.ones(indices.shape, scores.dtype);
  for (let i = 0; i < target.size; i++) {
    const c = readNumber(target, i);
    if (c === ignore) weights.data[i] = 0;
    else if (c < 0 || c >= classes)
      throw new OptionError(expected(where, `classes from 0 to ${classes - 1}`, `${c} at ${i}`));
    else indices.data[i] = c;
  }
  return { indices, weights };
}

/**
 * Negative log-likelihood: minus the score of the right class.
 *
 * @param logProbabilities  (N, C, ...), from logSoftmax
 * @param target            (N, ...), classes 0 .. C - 1
 * @see torch.nn.functional.nll_loss
 */
export function nllLoss(
  logProbabilities: Tensor,
  target: Tensor,
  options: ClassLossOptions = {},
): Tensor {
  checkOptions("nllLoss", options, ["reduction", "ignoreIndex"]);
  return classLoss("nllLoss", logProbabilities, target, options);
}

function classLoss(
  where: string,
  logs: Tensor,
  target: Tensor,
  { reduction = "mean", ignoreIndex = -100, labelSmoothing = 0 }: CrossEntropyOptions,
): Tensor {
  readInt(where, "ignoreIndex", ignoreIndex, -(2 ** 31));
  const { indices, weights } = readClasses(where, logs, target, ignoreIndex);
  const number = (value: number): Tensor => Tensor.full([], value, logs.dtype);
  let losses = neg(gatherElements(logs, 1, indices));
  if (labelSmoothing > 0) {
    const spread = neg(mean(logs, 1, true));
    losses = add(mul(losses, number(1 - labelSmoothing)), mul(spread, number(labelSmoothing)));
  }
  losses = mul(losses, weights);
  if (reduction !== "mean") return reduce(where, reshape(losses, target.shape), reduction);
  const counted = (weights.data as Float32Array).reduce((sum, w) => sum + w, 0);
  return mul(sumOf(losses), number(1 / counted));
}

/**
 * Cross entropy of softmax(logits) with the target classes.
 *
 * @param logits  (N, C, ...), unnormalised
 * @param target  (N, ...), classes 0 .. C - 1, int64, int32 or uint8
 * @returns a scalar, or (N, ...) with reduction "none"
 * @throws {OptionError} for a class that does not exist
 * @see torch.nn.functional.cross_entropy
 */
export function crossEntropy(
  logits: Tensor,
  target: Tensor,
  options: CrossEntropyOptions = {},
): Tensor {
  checkOptions("crossEntropy", options, ["reduction", "ignoreIndex", "labelSmoothing"]);
  const smoothing = readNumberOption("crossEntropy", "labelSmoothing", options.labelSmoothing ?? 0);
  if (smoothing < 0 || smoothing > 1)
    throw new OptionError(
      expected("crossEntropy", 'a number from 0 to 1 for "labelSmoothing"', String(smoothing)),
    );
  if (logits.rank < 2)
    throw new ShapeError(expected("crossEntropy", "logits (N, C, ...)", showShape(logits.shape)));
  return classLoss("crossEntropy", logSoftmax(logits, 1), target, options);
}
