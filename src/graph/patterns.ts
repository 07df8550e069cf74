/** What passes that look for patterns ask of values. */
import type { Node, Value } from "./graph.js";

/** The number that a float32 constant of one element holds. */
export const scalarOf = ({ constant }: Value): number | undefined =>
  constant?.size === 1 && constant.dtype === "float32" ? (constant.data[0] as number) : undefined;

/** The node that makes a value, if it is this op and does nothing else to its result. */
export const madeBy = (v: Value | undefined, name: string): Node | undefined =>
  v?.producer?.op.name === name && !("activation" in v.producer.attrs) ? v.producer : undefined;
