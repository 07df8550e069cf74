// Times engines side by side: one process each, every output checked before anything is timed, in interleaved rounds (A B A B), so that a machine
// whose speed drifts slows all alike. See docs/performance.md, "How to measure".
import { fork } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { backend } from "xcorr";
import { loadAddon } from "../dist/internals.js";
import { listCases } from "./cases.js";

const HELP = `npm run bench -- [options]
  --cases a,b      networks, layers, or parts of names (default: all)
  --engines a,b    names of files in bench/engines, or paths; ratios are to the first; xcorr:avx2 forces an instruction set
  --threads n,m    (default 1)
  --rounds n       (default 5)
  --seconds s      of each engine in each round (default 0.2)
  --out file.json  (default bench/results/<date>.json)
  --list           only names the cases`;
const ENGINES = "xcorr,onnxruntime-node,onnxruntime-web,tfjs-wasm,tfjs-cpu,reference";
/** An engine whose second run takes longer is timed by that run alone. */
const SLOW_MS = 1000;

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
const split = (text) => text.split(",");

/** The process of an engine; answers one question at a time. One that ends answers with an error. */
class Engine {
  constructor(name, threads) {
    const own = !name.endsWith(".js");
    const [file, variant = ""] = own ? name.split(":") : [name];
    const path = own ? here(`engines/${file}.js`) : resolve(file);
    if (!existsSync(path)) throw new Error(`no engine ${path}`);
    this.name = name;
    this.process = fork(here("worker.js"), [pathToFileURL(path), variant, threads], {
      serialization: "advanced",
    });
  }

  async ask(question, argument) {
    if (!this.process.connected) return { error: "its process has ended" };
    return new Promise((answer) => {
      const done = (message) => {
        this.process.removeAllListeners();
        answer(message);
      };
      this.process.once("message", done);
      this.process.once("exit", (code, signal) => done({ error: `ended with ${signal ?? code}` }));
      this.process.once("error", (error) => done({ error: error.message }));
      this.process.send([question, argument]);
    });
  }
}

async function open(names, threads) {
  const engines = [];
  for (const name of names) {
    const engine = new Engine(name, threads);
    const { version, error, missing } = await engine.ask("open");
    engine.version = version;
    if (!error) engines.push(engine);
    else {
      engine.process.kill();
      console.log(`  ${name}: ${missing ? "not installed: npm ci --prefix bench/peers" : error}`);
    }
  }
  return engines;
}

/** One case on all engines: { engine: { median, min } or { wrong } or { error } }, in milliseconds. */
async function time({ model, inputs, check }, engines, { rounds, seconds }) {
  const results = new Map();
  const turns = [];
  for (const engine of engines) {
    const { outputs, ms, error } = await engine.ask("load", { model, inputs });
    const wrong = error ? undefined : check(outputs);
    const result = error ? { error } : wrong ? { wrong } : { medians: [], mins: [] };
    results.set(engine.name, result);
    if (!result.medians) continue;
    if (ms < SLOW_MS) turns.push({ engine, result });
    else Object.assign(result, { medians: [ms], mins: [ms] });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { engine, result } of turns) {
      if (result.error) continue;
      const { median, min, error } = await engine.ask("time", seconds);
      if (error) result.error = error;
      else {
        result.medians.push(median);
        result.mins.push(min);
      }
    }
  }
  return Object.fromEntries(
    [...results].map(([name, { medians, mins, error, wrong }]) => [
      name,
      error || wrong
        ? { error, wrong }
        : { median: median(medians), min: Math.min(...mins), rounds: medians },
    ]),
  );
}

/** What the table says of an engine: why it was not timed ("-": it cannot run the case, the file says why), or `figures` of its times. */
function cell({ wrong, error, ...times }, figures) {
  if (wrong) return `WRONG (${wrong}), not timed`;
  return error ? "-" : figures(times);
}

/** "name   0.812 ms, best 0.790, 284 GFLOP/s, 121 % of peak   onnxruntime-node 1.62 ..." Winograd needs fewer products than are counted. */
function describe(name, macs, results, peak) {
  const [[, own], ...others] = Object.entries(results);
  const rate = ({ median }) =>
    macs > 0
      ? `${((2 * macs) / median / 1e6).toFixed(1).padStart(6)} GFLOP/s, ${((2 * macs) / median / 1e4 / peak).toFixed(0).padStart(3)} % of peak`
      : "";
  const first = cell(own, (times) =>
    [
      `${times.median.toFixed(3).padStart(9)} ms, best ${times.min.toFixed(3).padStart(8)}`,
      rate(times).padEnd(29),
    ].join("  "),
  );
  const ratio = ({ median }) =>
    own.median ? (median / own.median).toFixed(2) : `${median.toFixed(3)} ms`;
  const rest = others.map(([engine, result]) => `${engine} ${cell(result, ratio)}`);
  return `  ${name.padEnd(38)} ${[first, ...rest].join("   ")}`;
}

/** Geometric means of the ratios to the first engine. */
function summarise(records, engines) {
  for (const group of ["networks", "layers"]) {
    for (const { name } of engines.slice(1)) {
      const logs = records
        .filter((one) => one.group === group)
        .map(({ results }) => Math.log(results[name].median / results[engines[0].name].median))
        .filter(Number.isFinite);
      if (logs.length === 0) continue;
      const mean = Math.exp(logs.reduce((a, b) => a + b) / logs.length);
      console.log(
        `  ${group}: ${name} takes ${mean.toFixed(2)} times as long (${logs.length} cases)`,
      );
    }
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      cases: { type: "string" },
      engines: { type: "string", default: ENGINES },
      threads: { type: "string", default: "1" },
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "0.2" },
      out: { type: "string" },
      list: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  if (values.help) return console.log(HELP);
  const folder = mkdtempSync(join(tmpdir(), "xcorr-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const cases = listCases(folder).filter(
    ({ name, group }) =>
      !values.cases || split(values.cases).some((want) => want === group || name.includes(want)),
  );
  if (cases.length === 0) throw new Error(`no case is named like ${values.cases}; see --list`);
  if (values.list) return console.log(cases.map(({ name }) => name).join("\n"));

  const addon = loadAddon();
  const machine = {
    cpu: cpus()[0].model,
    cpus: availableParallelism(),
    isas: backend.available(),
    /** Multiply-adds times two of one core, in 10^9 a second. */
    peak: Object.fromEntries(addon.isas.map((isa) => [isa, Math.round(addon.peak(isa) * 10) / 10])),
    node: process.version,
    date: new Date().toISOString(),
  };
  const peak = Math.max(...Object.values(machine.peak));
  console.log(`${machine.cpu}, ${machine.cpus} CPUs, ${machine.isas}, Node ${machine.node}`);
  console.log(`peak of one core: ${peak} GFLOP/s`);
  const out = values.out ?? here(`results/${machine.date.replaceAll(":", "-")}.json`);
  mkdirSync(dirname(out), { recursive: true });
  const runs = [];
  for (const threads of split(values.threads).map(Number)) {
    console.log(
      `\n${threads} thread${threads > 1 ? "s" : ""}; numbers behind engines: their time over that of the first`,
    );
    const engines = await open(split(values.engines), threads);
    if (engines.length === 0) throw new Error("no engine to time");
    console.log(`  ${engines.map(({ name, version }) => `${name} ${version}`).join(", ")}`);
    const records = [];
    const versions = Object.fromEntries(engines.map(({ name, version }) => [name, version]));
    runs.push({ threads, engines: versions, cases: records });
    for (const { name, group, make } of cases) {
      const made = await make();
      const results = await time(made, engines, {
        rounds: Number(values.rounds),
        seconds: Number(values.seconds),
      });
      records.push({ name, group, macs: made.macs, results });
      console.log(describe(name, made.macs, results, peak * threads));
      if (Object.values(results).some(({ wrong }) => wrong)) process.exitCode = 1;
      writeFileSync(out, JSON.stringify({ machine, runs }, null, 1));
    }
    summarise(records, engines);
    for (const { process: child } of engines) child.kill();
  }
  console.log(`\nwritten to ${out}`);
}

await main();
