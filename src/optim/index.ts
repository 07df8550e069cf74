/** Optimisers and learning-rate schedules, as `optim` of the package: torch.optim's names and meaning, in camelCase. */
export { Adam, type AdamOptions, AdamW } from "./adam.js";
export { clipGradNorm, clipGradValue } from "./clip.js";
export { Optimizer, type OptimizerState } from "./Optimizer.js";
export { CosineAnnealingLR, LinearLR, StepLR } from "./schedules.js";
export { SGD, type SGDOptions } from "./sgd.js";
