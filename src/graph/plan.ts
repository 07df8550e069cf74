/**
 * makePlan: a graph, ordered, with every value given a place in one block of memory (the arena).
 *
 * A value lives from the step that makes it to the last step that reads it; inputs from the start, outputs to the end. Two values
 * may share bytes only if their lives do not overlap, or if one is a part of the other (parts.ts). Places are found largest value first, each in the tightest gap
 * (Pisarchyk and Lee 2020, "greedy by size").
 */
import type { Plan, PlanStep, PlanValue } from "../core/backend.js";
import type { Graph, Value } from "./graph.js";
import { bytesOf, Parts } from "./parts.js";

/** Cache lines, and the widest vectors, are 64 bytes. */
const ALIGNMENT = 64;

/** First and last step in which a value's bytes are in use. */
export interface Life {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

/** Offsets such that values whose lives overlap do not share bytes, and the bytes needed in all. */
export function assignOffsets(lives: readonly Life[]): { offsets: number[]; total: number } {
  const align = (n: number) => Math.ceil(n / ALIGNMENT) * ALIGNMENT;
  const offsets = new Array<number>(lives.length).fill(0);
  const placed: number[] = [];
  let total = 0;
  const bySize = lives.map((_, i) => i).sort((a, b) => lives[b].bytes - lives[a].bytes || a - b);
  for (const i of bySize) {
    const size = align(lives[i].bytes);
    const busy = placed
      .filter((j) => lives[j].first <= lives[i].last && lives[i].first <= lives[j].last)
      .sort((a, b) => offsets[a] - offsets[b]);
    let best = -1;
    let bestGap = Number.POSITIVE_INFINITY;
    let end = 0;
    for (const j of busy) {
      const gap = offsets[j] - end;
      if (gap >= size && gap < bestGap) {
        best = end;
        bestGap = gap;
      }
      end = Math.max(end, offsets[j] + align(lives[j].bytes));
    }
    offsets[i] = best >= 0 ? best : end;
    placed.push(i);
    total = Math.max(total, offsets[i] + size);
  }
  return { offsets, total };
}

/** The plan of a graph, whose nodes are already in an order in which they can run. */
export function makePlan(graph: Graph): Plan {
  const all = [...graph.values().values()];
  const index = new Map(all.map((value, i) => [value, i]));
  const placeOf = (value: Value): number => index.get(value) as number;

  const first = new Array<number>(all.length).fill(0);
  const last = new Array<number>(all.length).fill(0);
  graph.nodes.forEach((node, step) => {
    for (const value of node.outputs) {
      first[placeOf(value)] = step;
      last[placeOf(value)] = step;
    }
    for (const value of node.inputs) last[placeOf(value)] = step;
  });
  for (const { value } of graph.outputs) last[placeOf(value)] = graph.nodes.length;

  const parts = new Parts(graph);
  // A whole lives as long as any of its parts.
  const lives = new Map<Value, Life>();
  for (const value of all) {
    if (value.constant) continue;
    const { whole } = parts.outermost(value);
    const place = placeOf(value);
    const life = lives.get(whole) ?? { first: first[place], last: last[place] };
    lives.set(whole, {
      bytes: bytesOf(whole),
      first: Math.min(life.first, first[place]),
      last: Math.max(life.last, last[place]),
    });
  }
  const { offsets, total } = assignOffsets([...lives.values()]);
  const offsetOf = new Map([...lives.keys()].map((value, k) => [value, offsets[k]]));
  const offsetInArena = (value: Value): number => {
    const { whole, offset } = parts.outermost(value);
    return value.constant ? -1 : (offsetOf.get(whole) as number) + offset;
  };

  const values = all.map(
    (value): PlanValue => ({
      name: value.name,
      type: value.type,
      layout: value.layout,
      constant: value.constant,
      offset: offsetInArena(value),
      bytes: bytesOf(value),
    }),
  );
  const steps = graph.nodes.map(
    (node): PlanStep => ({
      name: node.name,
      op: node.op,
      attrs: node.attrs,
      inputs: node.inputs.map(placeOf),
      outputs: node.outputs.map(placeOf),
      inPlace: parts.inPlace.has(node),
    }),
  );
  return {
    values,
    steps,
    inputs: graph.inputs.map(placeOf),
    outputs: graph.outputs.map(({ value }) => placeOf(value)),
    arenaBytes: total,
  };
}
