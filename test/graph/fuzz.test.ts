/**
 * Random graphs: after every pass they are whole and mean the same; compiled for each instruction set, as they stand and optimised, with one
 * thread and with three, they give what the reference gives. FUZZ_SEEDS=n tries more graphs than usual.
 */
import { describe, expect, it } from "vitest";
import type { Backend } from "../../src/core/backend.js";
import type { Graph } from "../../src/graph/graph.js";
import { optimize, passes } from "../../src/graph/passes/index.js";
import { makePlan } from "../../src/graph/plan.js";
import { printGraph } from "../../src/graph/print.js";
import { verifyGraph } from "../../src/graph/verify.js";
import { Network } from "../../src/network.js";
import { native, nativeIsas } from "../support/backends.js";
import { expectClose, magnitude } from "../support/compare.js";
import { applyAndCompare, randomInputs, runGraph } from "../support/graphs.js";
import { randomGraph } from "../support/randomGraph.js";

const seeds = Array.from({ length: Number(process.env.FUZZ_SEEDS ?? 60) }, (_, i) => i + 1);

/** Runs `body`; a failure also says the seed and prints the graph. */
function withGraph(seed: number, body: (graph: Graph) => void): void {
  const graph = randomGraph(seed);
  const text = printGraph(graph);
  try {
    body(graph);
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}\n${text}`, { cause: error });
  }
}

it("every pass leaves a random graph whole, and its meaning as it was; each finds work", () => {
  const changes = new Map<string, number>();
  for (const seed of seeds) {
    withGraph(seed, (graph) => {
      applyAndCompare(graph, passes).forEach((n, i) => {
        const { name } = passes[i];
        changes.set(name, (changes.get(name) ?? 0) + n);
      });
    });
  }
  expect([...changes].filter(([, n]) => n === 0)).toEqual([]);
});

function compare(
  graph: Graph,
  backend: Backend,
  optimized: boolean,
  inputs = randomInputs(graph),
): void {
  const expected = runGraph(graph, inputs).map((t) => t.clone());
  if (optimized) optimize(graph, backend.target);
  verifyGraph(graph);
  const program = backend.load(makePlan(graph));
  // Twice: what the first run left in the arena must not matter.
  program.run(randomInputs(graph, 100));
  const got = program.run(inputs);
  program.dispose();
  got.forEach((t, i) => {
    expectClose(t, expected[i], { rtol: 1e-4, atol: 2e-5 }, magnitude(expected[i]));
  });
}

for (const { isa, available } of nativeIsas()) {
  describe.skipIf(!available)(`native ${isa}`, () => {
    for (const [optimized, threads] of [
      [false, 1],
      [true, 1],
      [true, 3],
    ] as const) {
      it(`${optimized ? "optimised" : "as they stand"}, ${threads} thread(s)`, () => {
        const backend = native(isa, threads);
        for (const seed of seeds) withGraph(seed, (graph) => compare(graph, backend, optimized));
      });
    }

    it("a number that is not finite comes out where the sums as they stand have it, and nowhere else", () => {
      const backend = native(isa, 3);
      const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
      for (let seed = 1; seed <= 8 * seeds.length; seed++) {
        withGraph(seed, (graph) => {
          const inputs = randomInputs(graph);
          for (const { data } of inputs)
            if (data instanceof Float32Array) data[(seed * 7919) % data.length] = values[seed % 3];
          compare(graph, backend, true, inputs);
        });
      }
    });
  });
}

it("any tensor of a graph can be asked for, and is what it was before the passes", () => {
  const backend = native();
  for (const seed of seeds.slice(0, 10)) {
    withGraph(seed, (graph) => {
      const inputs = randomInputs(graph);
      const info = graph.inputs.map(({ name, type }) => ({ name, ...type }));
      const source = {
        inputs: info,
        outputs: [],
        build: () => ({ graph: randomGraph(seed), baked: [] }),
      };
      const net = new Network(source, { backend });
      const feeds = Object.fromEntries(info.map(({ name }, i) => [name, inputs[i]]));
      for (const { outputs } of graph.nodes) {
        const [value] = outputs;
        graph.outputs = [{ name: value.name, value }];
        const [expected] = runGraph(graph, inputs);
        const got = net.runSync(feeds, { outputs: [value.name] })[value.name];
        expectClose(got, expected, { rtol: 1e-4, atol: 2e-5 }, magnitude(expected));
      }
      net.dispose();
    });
  }
  expect.hasAssertions();
});
