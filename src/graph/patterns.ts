/** What passes that look for patterns ask of values. */
import type { Value } from "./graph.js";

/** The number that a float32 constant of one element holds. */
export const scalarOf = ({ constant }: Value): number | undefined =>
  constant?.size === 1 && constant.dtype === "float32" ? (constant.data[0] as number) : undefined;
