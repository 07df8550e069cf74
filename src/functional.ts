/** The public functions on tensors, as `functional` of the package: PyTorch's names and meaning, in camelCase. */
export {
  add,
  div,
  maximum,
  minimum,
  mul,
  pow,
  prelu,
  sub,
  where,
} from "./ops/binary.js";
export { cast } from "./ops/cast.js";
export { type ConvOptions, conv1d, conv2d, type PaddingMode } from "./ops/conv2d.js";
export { conv3d } from "./ops/conv3d.js";
export {
  type ConvTransposeOptions,
  convTranspose2d,
  convTranspose3d,
} from "./ops/convTranspose.js";
export { corr2d, corr2dMultiIn, corr2dMultiInOut } from "./ops/corr2d.js";
export { cat, flatten, permute, reshape, stack } from "./ops/data.js";
export { pixelShuffle } from "./ops/depthToSpace.js";
export {
  adaptiveAvgPool2d,
  adaptiveMaxPool2d,
  globalAvgPool,
  globalMaxPool,
  maxUnpool2d,
} from "./ops/globalPool.js";
export { linear, matmul } from "./ops/linear.js";
export {
  bceWithLogits,
  type ClassLossOptions,
  type CrossEntropyOptions,
  crossEntropy,
  type LossOptions,
  l1Loss,
  mseLoss,
  nllLoss,
} from "./ops/loss.js";
export { type BatchNormOptions, batchNorm, localResponseNorm } from "./ops/norm.js";
export { type PadOptions, pad } from "./ops/pad.js";
export {
  type AvgPoolOptions,
  avgPool1d,
  avgPool2d,
  avgPool3d,
  type MaxPoolOptions,
  maxPool1d,
  maxPool2d,
  maxPool2dWithIndices,
  maxPool3d,
  type PoolOptions,
} from "./ops/pool.js";
export { argmax, mean, sumOf as sum, topk } from "./ops/reduce.js";
export { type InterpolateOptions, interpolate } from "./ops/resize.js";
export { logSoftmax, softmax } from "./ops/softmax.js";
export {
  abs,
  celu,
  clamp,
  elu,
  exp,
  gelu,
  hardsigmoid,
  hardswish,
  leakyRelu,
  log,
  mish,
  neg,
  relu,
  relu6,
  selu,
  sigmoidOf as sigmoid,
  silu,
  softplusOf as softplus,
  softsign,
  sqrt,
  tanh,
} from "./ops/unary.js";
