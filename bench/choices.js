// How often the algorithm that a convolution is expected to run fastest by is that, or nearly: every candidate is tried (`tune`), on one thread, weights from
// beyond the second cache. Usage: node bench/choices.js [isa ...]
import { cpus } from "node:os";
import * as xcorr from "xcorr";
import { layers, makeLayer } from "../test/support/layers.js";

const { backend, compile } = xcorr;

/** As good as the best: times of two algorithms that differ by less are a matter of chance. */
const NEARLY = 110;

const isas = process.argv.slice(2);
const names = backend
  .available()
  .filter((name) => name.startsWith("native:"))
  .map((name) => name.slice(7))
  .filter((isa) => isas.length === 0 || isas.includes(isa));

/** The convolution's step, chosen by expectation or by trying. */
function stepOf({ input, run }, isa, tune) {
  const net = compile(run, input, { backend: "native", isa, threads: 1, tune });
  const step = [...net.explain({ input })].find(({ op }) => op === "conv2d");
  net.dispose();
  return step;
}

console.log(cpus()[0].model);
for (const isa of names) {
  let choices = 0;
  let good = 0;
  for (const layer of layers.filter(({ op }) => op === "conv2d")) {
    const made = makeLayer(layer, xcorr);
    const expected = stepOf(made, isa, false).algorithm;
    const tried = stepOf(made, isa, true);
    const times = new Map(
      [...tried.declined.matchAll(/(\w+): takes (\d+) % of the time/g)].map(([, name, percent]) => [
        name,
        Number(percent),
      ]),
    );
    if (times.size === 0) continue;
    choices++;
    const percent =
      times.get(expected) ?? (expected === tried.algorithm ? 100 : Number.POSITIVE_INFINITY);
    if (percent <= NEARLY) good++;
    else
      console.log(
        `${isa}: ${layer.name}: expected ${expected}, which takes ${percent} % of ${tried.algorithm}'s time`,
      );
  }
  console.log(
    `${isa}: ${good} of ${choices} layers with a choice within ${NEARLY - 100} % of the best`,
  );
}
