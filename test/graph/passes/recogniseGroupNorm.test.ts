/** recogniseGroupNorm: a norm over groups of channels that is written as that of other images. */
import { expect, it } from "vitest";
import type { Graph, Value } from "../../../src/graph/graph.js";
import { recogniseGroupNorm } from "../../../src/graph/passes/recogniseGroupNorm.js";
import { removeDead } from "../../../src/graph/passes/removeDead.js";
import { applyAndCompare, opsOf } from "../../support/graphs.js";
import { give, one, perChannel, random, start } from "./build.js";

const shape = [2, 6, 5, 7];

/** instanceNorm of x as another image, brought to a shape. */
function grouped(graph: Graph, x: Value, as: number[], back = shape): { norm: Value; y: Value } {
  const inputs = [one(graph, "reshape", [x], { shape: as })];
  for (const seed of [1, 2]) inputs.push(random(graph, [as[1]], seed));
  const norm = one(graph, "instanceNorm", inputs, { eps: 0.01 });
  return { norm, y: one(graph, "reshape", [norm], { shape: back }) };
}

it.each([
  ["alone", (_: Graph, y: Value) => y],
  ["with a scale", (g: Graph, y: Value) => perChannel(g, "mul", y)],
  ["with a bias", (g: Graph, y: Value) => perChannel(g, "add", y)],
  [
    "with both, ones before the channels",
    (g: Graph, y: Value) =>
      perChannel(g, "add", perChannel(g, "mul", y, [1, 6, 1, 1]), [1, 6, 1, 1]),
  ],
])("%s it is one groupNorm", (_, more) => {
  const { graph, x } = start(shape);
  give(graph, more(graph, grouped(graph, x, [2, 3, 70]).y));
  applyAndCompare(graph, [recogniseGroupNorm, removeDead]);
  expect(opsOf(graph)).toEqual(["groupNorm"]);
});

it("what is not per channel stays behind it", () => {
  const { graph, x } = start(shape);
  give(graph, perChannel(graph, "mul", grouped(graph, x, [2, 3, 2, 35]).y, [5, 7]));
  applyAndCompare(graph, [recogniseGroupNorm, removeDead]);
  expect(opsOf(graph)).toEqual(["groupNorm", "mul"]);
});

it.each<[string, (graph: Graph, x: Value) => Value[]]>([
  ["groups that do not divide the channels", (g, x) => [grouped(g, x, [2, 5, 42]).y]],
  ["images that are cut up", (g, x) => [grouped(g, x, [4, 3, 35]).y]],
  ["another shape afterwards", (g, x) => [grouped(g, x, [2, 3, 70], [2, 6, 7, 5]).y]],
  [
    "a result that others read as it is",
    (g, x) => {
      const { norm, y } = grouped(g, x, [2, 3, 70]);
      return [norm, y];
    },
  ],
])("not with %s", (_, make) => {
  const { graph, x } = start(shape);
  give(graph, ...make(graph, x));
  expect(applyAndCompare(graph, [recogniseGroupNorm])).toEqual([0]);
});
