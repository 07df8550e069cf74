/**
 * Finds values that are parts of others, so that a plan need not copy them: what a concat joins is made where the concat would put it; what a
 * split, a slice or a reshape takes is read where it is.
 *
 *   a, b -> concat -> y, a and b in whole blocks of one image      a and b are places in y
 *
 * Every value among the bytes of another is what these bytes are, at any time, so it does not matter when which of them is made or read.
 */
import { DTYPES } from "../core/dtype.js";
import type { Placement } from "../core/op.js";
import { sameShape, sizeOf } from "../core/shape.js";
import type { Graph, Node, Value } from "./graph.js";

/** Channels that the blocked layout keeps together. */
export const BLOCK = 8;

/** Bytes of a value in memory; a blocked one is padded to whole blocks of channels. */
export function bytesOf(value: Pick<Value, "type" | "layout">): number {
  const { dtype, shape } = value.type;
  if (value.layout === "plain") return sizeOf(shape) * DTYPES[dtype].bytes;
  const [n, c, h, w] = shape;
  return n * Math.ceil(c / BLOCK) * BLOCK * h * w * DTYPES[dtype].bytes;
}

const bytesOfAll = (values: readonly Value[]): number =>
  values.reduce((sum, value) => sum + bytesOf(value), 0);

/** Where a value lies: in which other, and how many bytes after its begin. */
interface Part {
  readonly whole: Value;
  readonly offset: number;
}

/** Row-major in memory: so is one pixel in whole blocks, too. */
function isRowMajor({ layout, type: { shape } }: Value): boolean {
  return layout === "plain" || (shape[1] % BLOCK === 0 && shape[2] * shape[3] === 1);
}

/**
 * Where in the bytes of `whole` those of `part` lie, which begins at `start` of an axis; undefined if not in one piece. A part in blocks
 * ends with zeros up to a whole block: where zeros follow anyway, it may end anywhere.
 */
function offsetIn(
  whole: Value,
  part: Value,
  { axis, zerosFollow }: Placement,
  start: number,
): number | undefined {
  const { dtype, shape } = whole.type;
  if (zerosFollow && isRowMajor(whole)) return undefined;
  if (isRowMajor(whole) !== isRowMajor(part) || sizeOf(shape.slice(0, axis)) !== 1)
    return undefined;
  const offset = start * sizeOf(shape.slice(axis + 1)) * DTYPES[dtype].bytes;
  if (isRowMajor(whole) || sameShape(shape, part.type.shape)) return offset;
  const end = start + part.type.shape[1];
  const inBlocks =
    start % BLOCK === 0 && (end % BLOCK === 0 || end === shape[1] || zerosFollow === true);
  return axis === 1 && inBlocks ? offset : undefined;
}

export class Parts {
  private readonly places = new Map<Value, Part>();
  /** Nodes that have nothing to do: their outputs are where their inputs are. */
  readonly inPlace = new Set<Node>();

  constructor(private readonly graph: Graph) {
    // From the end, so that of many concats that begin alike, as a DenseNet's, the longest is the whole and the others are its beginnings.
    for (const node of [...graph.nodes].reverse()) if (this.place(node)) this.inPlace.add(node);
  }

  /** The value around this one that is part of no other: the value itself, if it is no part. */
  outermost(value: Value): Part {
    let [whole, offset] = [value, 0];
    for (let part = this.places.get(value); part; part = this.places.get(whole)) {
      whole = part.whole;
      offset += part.offset;
    }
    return { whole, offset };
  }

  /** A run reads plain inputs and writes plain outputs where the caller has them, which is no part of the arena; constants are not in it either. */
  private isElsewhere(value: Value): boolean {
    const given = this.graph.inputs.includes(value) || this.graph.isOutput(value);
    return value.constant !== undefined || (given && value.layout === "plain");
  }

  /**
   * Puts a node's parts in its whole, or its whole around its parts where they are already, if either is possible.
   * @returns whether nothing is left to do
   */
  private place({ op, attrs, inputs, outputs }: Node): boolean {
    const types = inputs.map(({ type }) => type);
    const placement = op.placement?.(types, attrs);
    if (!placement || [...inputs, ...outputs].some((value) => this.isElsewhere(value)))
      return false;
    const { starts } = placement;
    const [[whole], parts] = placement.whole === "input" ? [inputs, outputs] : [outputs, inputs];
    const offsets = parts.flatMap((part, i) => offsetIn(whole, part, placement, starts[i]) ?? []);
    if (offsets.length < parts.length) return false;
    const placed = this.placeParts(whole, parts, offsets) || this.placeWhole(whole, parts, offsets);
    return placed && !(placement.zerosFollow && bytesOf(whole) > bytesOfAll(parts));
  }

  private placeParts(whole: Value, parts: readonly Value[], offsets: readonly number[]): boolean {
    const { whole: root } = this.outermost(whole);
    const isFree = (part: Value, i: number) =>
      part !== root && !this.places.has(part) && parts.indexOf(part) === i;
    if (!parts.every(isFree)) return false;
    parts.forEach((part, i) => {
      this.places.set(part, { whole, offset: offsets[i] });
    });
    return true;
  }

  /** Parts that lie in another value already, one after the other, and are all of the whole: it lies there, too. */
  private placeWhole(whole: Value, parts: readonly Value[], offsets: readonly number[]): boolean {
    const { whole: root, offset: first } = this.outermost(parts[0]);
    const begin = first - offsets[0];
    const isInLine = (part: Value, i: number) => {
      const place = this.outermost(part);
      return place.whole === root && place.offset === begin + offsets[i];
    };
    const isFree = whole !== root && !this.places.has(whole);
    if (!isFree || bytesOfAll(parts) !== bytesOf(whole) || !parts.every(isInLine)) return false;
    this.places.set(whole, { whole: root, offset: begin });
    return true;
  }
}
