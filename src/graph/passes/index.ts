/**
 * The passes, in order, each with its reason to stand there. A graph can be run before and after each of them, and means the same.
 *
 * There is no pass that packs weights: how they are packed depends on the algorithm, and that on the instruction set, so the native
 * backend packs them when it loads the plan, straight from the model's bytes. A packed form never exists in JavaScript.
 */
import type { Target } from "../../core/backend.js";
import type { Graph } from "../graph.js";
import { assignLayout } from "./assignLayout.js";
import { combineAffine } from "./combineAffine.js";
import { foldAffineAhead } from "./foldAffineAhead.js";
import { foldBatchNorm } from "./foldBatchNorm.js";
import { foldConstants } from "./foldConstants.js";
import { foldDepthOrder } from "./foldDepthOrder.js";
import { foldPad } from "./foldPad.js";
import { fuseActivation, fuseAdd, fuseAffine, fuseScale } from "./fuse.js";
import { joinDepthwise } from "./joinDepthwise.js";
import { mergeEqual } from "./mergeEqual.js";
import { recogniseActivations } from "./recogniseActivations.js";
import { recogniseGlobalPool } from "./recogniseGlobalPool.js";
import { recogniseGroupNorm } from "./recogniseGroupNorm.js";
import { recogniseLayerNorm } from "./recogniseLayerNorm.js";
import { recogniseShuffle } from "./recogniseShuffle.js";
import { removeDead } from "./removeDead.js";
import { removeNoOps } from "./removeNoOps.js";
import { sinkReshape } from "./sinkReshape.js";
import { sinkTranspose } from "./sinkTranspose.js";

/** Rewrites a graph in place; gives the number of rewrites. */
export interface Pass {
  readonly name: string;
  apply(graph: Graph, target: Target): number;
}

export const passes: readonly Pass[] = [
  removeDead, // so that nothing is worked out for nobody
  removeNoOps, // so that patterns meet their neighbours
  foldConstants, // so that weights are constants
  mergeEqual, // after shapes and weights are worked out, so that inputs are the same; before readers are counted
  recogniseActivations, // before the parts of an activation are folded into something else
  recogniseLayerNorm,
  recogniseGroupNorm,
  recogniseGlobalPool,
  recogniseShuffle,
  removeDead, // so that the parts of what was recognised do not count as readers
  sinkReshape, // after activations and norms are one node each, before anything is fused
  removeNoOps, // the reshapes that have met
  sinkTranspose, // after activations and norms are one node each, before anything is folded into products
  removeDead, // the transposes that it left behind
  foldBatchNorm, // before activations hide the product in front of them
  foldDepthOrder, // after foldBatchNorm, which may be in between; before fuseAdd: what is added is in the order of the model
  foldPad,
  fuseAdd, // before fuseActivation: the sum comes first in an epilogue
  fuseActivation,
  fuseScale, // while numbers are nodes of their own: combineAffine takes them elsewhere
  fuseAffine, // after fuseActivation: what follows an activation that is fused
  foldAffineAhead, // after all that can take in what stands after a product: it costs nothing there, and no weights have to be read
  combineAffine, // what is left of scales and shifts, with the activations that have been fused into them
  removeDead,
  assignLayout, // sees the ops that will run
  joinDepthwise, // after it: only what is in blocks
];

/** Applies every pass. */
export function optimize(graph: Graph, target: Target): void {
  for (const pass of passes) pass.apply(graph, target);
}
