/** xcorr: tensors, functions on them, layers, compiled networks. */
export { backend } from "./backends/choose.js";
export { type CompileOptions, compile } from "./compile.js";
export type { StepProfile, StepReport } from "./core/backend.js";
export type { DType, TypedArray } from "./core/dtype.js";
export {
  AddonError,
  DisposedError,
  ModelFormatError,
  OptionError,
  ShapeError,
  TensorError,
  UnsupportedOperatorError,
  XcorrError,
} from "./core/errors.js";
export { type NestedNumbers, type RandomOptions, Tensor } from "./core/tensor.js";
export * as functional from "./functional.js";
export { type Explanation, type Feeds, Network, type RunOptions } from "./network.js";
export * as nn from "./nn/index.js";
export { loadSafetensors, saveSafetensors } from "./safetensors.js";
