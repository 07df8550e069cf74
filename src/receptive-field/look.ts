/** Looking back through a graph: which places of an input a place further on is made of, along one spatial axis. Knows no op by name. */
import type { Sight } from "../core/op.js";
import type { Graph, Node, Value } from "../graph/graph.js";

/** First and last place, both inclusive. */
export type Interval = readonly [first: number, last: number];

const EVERYWHERE: Interval = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];

/** What outputs of a node see of one of its inputs: what the op declares, or what follows from what it declares. */
export function sightOf(node: Node, input: number, axis: number): Sight {
  const { op, attrs } = node;
  const types = node.inputs.map(({ type }) => type);
  if (op.sight) return op.sight(types, attrs, axis, input);
  const window = op.window?.(types, attrs);
  if (window) {
    if (axis >= window.kernel.length) return "whole";
    const [kernel, stride, padding, dilation] = [
      window.kernel,
      window.stride,
      window.padding,
      window.dilation,
    ].map((n) => n[axis]);
    return (at) => [
      at * stride - padding,
      at * stride - padding + (kernel - 1) * dilation,
      dilation,
    ];
  }
  if (!op.elementwise) return "whole";
  const fromEnd = node.outputs[0].type.shape.length - (2 + axis);
  const [size, out] = [types[input].shape.at(-fromEnd) ?? 1, node.outputs[0].type.shape[2 + axis]];
  return size === 1 && out !== 1 ? () => [0, 0] : (at) => [at, at];
}

/** An interval seen through a sight; undefined if it is made of nothing. */
function through(sight: Sight, [first, last]: Interval): Interval | undefined {
  if (sight === "whole" || first === Number.NEGATIVE_INFINITY) return EVERYWHERE;
  // Both ends suffice, since sights move one way; but an end may see nothing, between the reaches of a transposed convolution.
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const take = (at: number): boolean => {
    const [a, b] = sight(at);
    if (a > b) return false;
    low = Math.min(low, a);
    high = Math.max(high, b);
    return true;
  };
  let from = first;
  while (from <= last && !take(from)) from++;
  let to = last;
  while (to > from && !take(to)) to--;
  return low > high ? undefined : [low, high];
}

/** The spatial sizes of a value; none if it is no image. */
export const spatialShape = (value: Value): readonly number[] => value.type.shape.slice(2);

/**
 * What a place of one value is made of in another, as if images had no end: the interval from the first place to the last over all ways between
 * the two; undefined if of nothing.
 */
export function lookBack(
  graph: Graph,
  from: Value,
  to: Value,
  axis: number,
  at: number,
): Interval | undefined {
  return walkBack<Interval>(graph, from, to, axis, [at, at], {
    join: (a, b) => [Math.min(a[0], b[0]), Math.max(a[1], b[1])],
    through,
  });
}

/**
 * The very places of one value that a place of another is made of, within the images: neither what lies in their padding nor what a dilated window
 * steps over. undefined if none.
 */
export function placesBehind(
  graph: Graph,
  from: Value,
  to: Value,
  axis: number,
  at: number,
): ReadonlySet<number> | undefined {
  const places = walkBack<ReadonlySet<number>>(graph, from, to, axis, new Set([at]), {
    join: (a, b) => new Set([...a, ...b]),
    through(sight, wanted, value) {
      const size = spatialShape(value)[axis] ?? 1;
      const seen = new Set<number>();
      if (sight === "whole") for (let i = 0; i < size; i++) seen.add(i);
      else
        for (const place of wanted) {
          const [first, last, step = 1] = sight(place);
          const begin = first < 0 ? first + Math.ceil(-first / step) * step : first;
          for (let i = begin; i <= Math.min(last, size - 1); i += step) seen.add(i);
        }
      return seen.size > 0 ? seen : undefined;
    },
  });
  return places;
}

/** Carries what is wanted of a value back through every node between, to another. */
function walkBack<T>(
  graph: Graph,
  from: Value,
  to: Value,
  axis: number,
  start: T,
  {
    join,
    through,
  }: { join(a: T, b: T): T; through(sight: Sight, wanted: T, of: Value): T | undefined },
): T | undefined {
  const wanted = new Map<Value, T>([[from, start]]);
  for (let i = graph.nodes.length - 1; i >= 0 && wanted.size > 0; i--) {
    const node = graph.nodes[i];
    for (const output of node.outputs) {
      const part = wanted.get(output);
      if (part === undefined || output === to) continue;
      wanted.delete(output);
      node.inputs.forEach((input, k) => {
        if (input.constant) return;
        const seen = through(sightOf(node, k, axis), part, input);
        if (seen === undefined) return;
        const other = wanted.get(input);
        wanted.set(input, other === undefined ? seen : join(other, seen));
      });
    }
  }
  return wanted.get(to);
}
