/** xcorr: tensors, functions on them, layers, compiled networks. */
export { backend } from "./backends/choose.js";
export { type CompileOptions, compile } from "./compile.js";
export type { BackwardOptions } from "./core/autograd.js";
export type { StepProfile, StepReport } from "./core/backend.js";
export type { DType, TypedArray } from "./core/dtype.js";
export {
  AddonError,
  DisposedError,
  GradientError,
  LogError,
  ModelFormatError,
  OptionError,
  ShapeError,
  TensorError,
  UnsupportedOperatorError,
  XcorrError,
} from "./core/errors.js";
export { noGrad } from "./core/gradMode.js";
export { type NestedNumbers, type RandomOptions, Tensor } from "./core/tensor.js";
export { DataLoader, type DataLoaderOptions, TensorDataset } from "./data/index.js";
export * as functional from "./functional.js";
export { type Explanation, type Feeds, Network, type RunOptions } from "./network.js";
export * as nn from "./nn/index.js";
export * as optim from "./optim/index.js";
export { loadSafetensors, saveSafetensors } from "./safetensors.js";
