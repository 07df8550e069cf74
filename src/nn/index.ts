/** Layers, as `nn` of the package. */
export * from "./activations.js";
export * from "./conv.js";
export * as init from "./init.js";
export * from "./layers.js";
export { Module, Parameter, type StateDict } from "./Module.js";
