/** Parts: which values lie in others and need no copy. (That programs with such plans are right: fuzz.test.ts.) */
import { describe, expect, it } from "vitest";
import type { Graph, Value } from "../../src/graph/graph.js";
import { Parts } from "../../src/graph/parts.js";
import { makePlan } from "../../src/graph/plan.js";
import { conv, give, op, start } from "./passes/build.js";

const relu = (graph: Graph, x: Value): Value => graph.add(op("relu"), [x], {})[0];
const concat = (graph: Graph, parts: Value[], axis = 1): Value =>
  graph.add(op("concat"), parts, { axis })[0];
const split = (graph: Graph, x: Value, sizes: number[]): Value[] =>
  graph.add(op("split"), [x], { axis: 1, sizes });
const channels = (graph: Graph, x: Value, first: number, count: number): Value =>
  graph.add(op("slice"), [x], {
    starts: [0, first, 0, 0],
    sizes: [x.type.shape[0], count, ...x.type.shape.slice(2)],
    steps: [1, 1, 1, 1],
  })[0];

const blocked = (...values: Value[]): void => {
  for (const value of values) value.layout = "blocked";
};

/** Gives what others make of these values: what a run gives itself is never part of anything. */
const giveWhatReads = (graph: Graph, ...values: Value[]): void =>
  give(graph, ...values.map((value) => relu(graph, value)));

/** The ops of the steps that copy. */
const copied = (graph: Graph): string[] => {
  const { inPlace } = new Parts(graph);
  const moves = /concat|split|slice|reshape|reorder/;
  return graph.nodes.filter((n) => !inPlace.has(n) && moves.test(n.op.name)).map((n) => n.op.name);
};

/** Places in the arena, counted from the last value's. */
function offsetsOf(graph: Graph, values: readonly Value[]): number[] {
  const plan = makePlan(graph);
  const all = [...graph.values().values()];
  const places = values.map((value) => plan.values[all.indexOf(value)].offset);
  return places.map((place) => place - places[places.length - 1]);
}

describe("lies in place", () => {
  it("what a concat joins, and the concat of concats", () => {
    const { graph, x } = start([1, 4, 5, 6]);
    const [a, b, c] = [8, 16, 3].map((n) => conv(graph, x, n));
    const inner = concat(graph, [a, b]);
    const outer = concat(graph, [inner, c]);
    blocked(a, b, inner, c, outer);
    giveWhatReads(graph, outer);
    const plane = 3 * 4 * 4;
    expect(offsetsOf(graph, [a, b, inner, c, outer])).toEqual([0, 8 * plane, 0, 24 * plane, 0]);
    expect(copied(graph)).toEqual([]);
  });

  it("channels that zeros are added to: nothing to do in the same block, else only the zeros", () => {
    const { graph, x } = start([1, 4, 5, 6]);
    const pad = (value: Value, more: number) =>
      graph.add(op("pad"), [value], {
        pads: [0, 0, 0, 0, 0, more, 0, 0],
        mode: "constant",
        value: 0,
      })[0];
    const a = conv(graph, x, 12);
    const b = pad(a, 4);
    const c = pad(b, 5);
    blocked(a, b, c);
    giveWhatReads(graph, a, c);
    expect(offsetsOf(graph, [a, b, c])).toEqual([0, 0, 0]);
    const { inPlace } = new Parts(graph);
    expect(graph.nodes.map((node) => inPlace.has(node))).toEqual([
      false,
      true,
      false,
      false,
      false,
    ]);
  });

  it("halves, slices and other shapes of a value", () => {
    const { graph, x } = start([1, 4, 5, 6]);
    const y = relu(graph, x);
    const [a, b] = split(graph, y, [1, 3]);
    const c = channels(graph, y, 2, 1);
    const d = graph.add(op("reshape"), [b], { shape: [90] })[0];
    giveWhatReads(graph, a, c, d);
    expect(offsetsOf(graph, [a, b, c, d, y])).toEqual([0, 30 * 4, 60 * 4, 30 * 4, 0]);
    expect(copied(graph)).toEqual([]);
  });

  it("concats that begin alike: all of a DenseNet's block", () => {
    const { graph, x } = start();
    const features = [relu(graph, x)];
    const joined: Value[] = [];
    for (let layer = 0; layer < 3; layer++) {
      features.push(conv(graph, joined[layer - 1] ?? features[0], 4, { padding: 1 }));
      joined.push(concat(graph, features));
    }
    giveWhatReads(graph, joined[2]);
    const size = 4 * 5 * 6 * 4;
    expect(offsetsOf(graph, [...features, ...joined])).toEqual([
      ...[0, size, 2 * size, 3 * size],
      ...[0, 0, 0],
    ]);
    expect(copied(graph)).toEqual([]);
  });

  it("what is split, and joined with more", () => {
    const { graph, x } = start();
    const y = relu(graph, x);
    const [a, b] = split(graph, y, [2, 2]);
    giveWhatReads(graph, concat(graph, [relu(graph, x), a, b, relu(graph, b)]));
    expect(copied(graph)).toEqual([]);
  });

  it("one pixel in whole blocks, in either layout", () => {
    for (const count of [16, 9]) {
      const { graph, x } = start([2, count, 1, 1]);
      const y = relu(graph, x);
      blocked(y);
      giveWhatReads(graph, graph.add(op("reorder"), [y], { to: "plain" })[0]);
      expect(copied(graph)).toEqual(count === 16 ? [] : ["reorder"]);
    }
  });
});

const copies: Readonly<Record<string, (graph: Graph, x: Value) => Value[]>> = {
  "a value that is joined twice": (graph, x) => [concat(graph, [x, x])],
  "parts of several images": (graph, x) => {
    const images = concat(graph, [x, relu(graph, x)], 0);
    return [concat(graph, [relu(graph, images), relu(graph, images)])];
  },
  "parts along an inner axis": (graph, x) => [concat(graph, [relu(graph, x), x], 2)],
  "one of two orders": (graph, x) => {
    const y = relu(graph, x);
    return [concat(graph, [x, y]), concat(graph, [y, x])];
  },
  "a whole that has more than what is joined elsewhere": (graph, x) => [
    concat(graph, [channels(graph, x, 0, 2), relu(graph, x)]),
  ],
  "channels of a block that has others too": (graph, x) => {
    const y = channels(graph, x, 0, 3);
    blocked(x, y);
    return [y];
  },
};

it.each(Object.keys(copies))("copies %s", (name) => {
  const { graph, x } = start();
  giveWhatReads(graph, ...copies[name](graph, relu(graph, x)));
  expect(copied(graph)).toHaveLength(1);
});

it("copies what a run is given and gives: that is where the caller has it", () => {
  const { graph, x } = start();
  const [a] = split(graph, x, [2, 2]);
  give(graph, graph.add(op("reshape"), [relu(graph, a)], { shape: [60] })[0]);
  expect(copied(graph)).toEqual(["split", "reshape"]);
});
