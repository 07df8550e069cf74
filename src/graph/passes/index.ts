/** The passes, in order. Filled below. */
import type { Target } from "../../core/backend.js";
import type { Graph } from "../graph.js";

export function optimize(_graph: Graph, _target: Target): void {}
