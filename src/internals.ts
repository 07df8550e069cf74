/** What the benches take from inside the library. No entry of the package: it may change at any time. */
export { loadAddon } from "./backends/addon.js";
export { referenceBackend } from "./backends/reference.js";
export { parseNpy } from "./cli/npy.js";
export { OnnxModel } from "./onnx/import.js";
export { decodeModel } from "./onnx/messages.js";
export { toTensor } from "./onnx/tensors.js";
