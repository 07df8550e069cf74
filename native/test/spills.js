// No hot loop keeps vectors on the stack: disassembles compiled kernels and looks into the loops that multiply and add.
//
//   node native/test/spills.js [object ...]       default: what the addon's build left for AVX2 and AVX-512
//
// A store to the stack in such a loop means a tile of more accumulators than the machine has registers, or an array of them whose index is not
// known at compile time: each step then waits for the store of the step before. A reload alone means that a constant of the loop found no
// register. No test of results sees either. Exit code 0: none, 1: some, which are listed, 77: a tool is missing, and which.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Functions that need more vectors than there are registers, by name, and why that is well. */
const BY_DESIGN = [
  [/TransformInput<|OutputTile</, "up to 64 numbers of a Winograd tile, once per tile and block"],
  [
    /Activate(Run|Rows)/,
    "the constants of an exponential, some of which are read from memory either way",
  ],
  [
    /avx2::.*PlaneStrip</,
    "weights, masks and limits beyond 16 registers, once per row of a strip; a third of its loads either way",
  ],
  [/UnaryRun|SoftmaxColumns/, "the last numbers, fewer than a vector, once per call"],
];

const MULTIPLY_ADD = /^vfn?m(add|sub)/;
const VECTOR = /%[xyz]mm\d/;
const JUMP = /^(?:notrack )?j([a-z]+)\s+([0-9a-f]+) </;
const ENDS = /^(notrack )?(ret|jmp|ud2)/;

/** objdump's text -> functions, each with its instructions in order: { name, code: [{ address, text }] }. */
function parse(disassembly) {
  const functions = [];
  for (const line of disassembly.split("\n")) {
    const title = /^[0-9a-f]+ <(.*)>:$/.exec(line);
    const instruction = /^\s*([0-9a-f]+):\t(.*?)\s*(?:#.*)?$/.exec(line);
    if (title) functions.push({ name: title[1], code: [] });
    else if (instruction)
      functions.at(-1).code.push({ address: parseInt(instruction[1], 16), text: instruction[2] });
  }
  return functions;
}

/** Basic blocks: { code, next: indices of the blocks that may follow }. Where a jump through a table leads is not known. */
function blocksOf(code) {
  const target = ({ text }) => parseInt(JUMP.exec(text)?.[2], 16);
  const starts = new Set(code.map(target));
  for (const [i, { text }] of code.entries())
    if (JUMP.test(text) || ENDS.test(text)) starts.add(code[i + 1]?.address);
  const blocks = [];
  for (const instruction of code) {
    if (blocks.length === 0 || starts.has(instruction.address)) blocks.push({ code: [], next: [] });
    blocks.at(-1).code.push(instruction);
  }
  const index = new Map(blocks.map(({ code: [first] }, i) => [first.address, i]));
  for (const [i, { code, next }] of blocks.entries()) {
    const jumpsTo = index.get(target(code.at(-1)));
    if (jumpsTo !== undefined) next.push(jumpsTo);
    if (!ENDS.test(code.at(-1).text) && i + 1 < blocks.length) next.push(i + 1);
  }
  return blocks;
}

/** The largest cycles among some of the blocks: strongly connected parts (Tarjan 1972). */
function cycles(blocks, members) {
  const [order, low, stack, found] = [new Map(), new Map(), [], []];
  const visit = (v) => {
    order.set(v, order.size);
    low.set(v, order.get(v));
    stack.push(v);
    for (const w of blocks[v].next) {
      if (!members.has(w)) continue;
      if (!order.has(w)) visit(w);
      if (stack.includes(w)) low.set(v, Math.min(low.get(v), low.get(w)));
    }
    if (low.get(v) !== order.get(v)) return;
    const part = new Set(stack.splice(stack.indexOf(v)));
    if (part.size > 1 || blocks[v].next.includes(v)) found.push(part);
  };
  for (const v of members) if (!order.has(v)) visit(v);
  return found;
}

/**
 * The loops that multiply and add and hold no loop that does, as lists of instructions without those of other loops inside (which fetch ahead,
 * say). A function that does so in no loop of its own counts as one: it is the body of its caller's.
 */
function hotLoops(blocks, members = new Set(blocks.keys()), header = undefined) {
  // Without the block by which it is entered, a loop falls apart into the loops inside it.
  const inner = cycles(blocks, new Set([...members].filter((i) => i !== header)));
  const hot = inner.flatMap((loop) => {
    const entries = blocks.flatMap(({ next }, i) => (loop.has(i) ? [] : next));
    return hotLoops(blocks, loop, entries.find((i) => loop.has(i)) ?? Math.min(...loop));
  });
  if (hot.length > 0) return hot;
  const own = [...members].filter((i) => !inner.some((loop) => loop.has(i)));
  const code = own.sort((a, b) => a - b).flatMap((i) => blocks[i].code);
  return code.some(({ text }) => MULTIPLY_ADD.test(text)) ? [code] : [];
}

/** The instructions of a loop that move vectors to or from the stack. */
function spillsOf(loop, framed) {
  // Without a frame %rbp is a register like any other.
  const stack = framed ? /\(%r[sb]p/ : /\(%rsp/;
  return loop.filter(({ text }) => VECTOR.test(text) && stack.test(text));
}

/** Reports on one object. @returns whether a hot loop of it is at fault */
function check(path) {
  const { status, stdout, stderr, error } = spawnSync(
    "objdump",
    ["-d", "-C", "--no-show-raw-insn", path],
    { encoding: "utf8", maxBuffer: 2 ** 28 },
  );
  if (error || status !== 0) skip(`objdump of ${path}: ${error?.message ?? stderr}`);
  let [loops, faults] = [0, 0];
  for (const { name, code } of parse(stdout)) {
    const framed = code.some(({ text }) => /^mov\s+%rsp,%rbp$/.test(text));
    for (const loop of hotLoops(blocksOf(code))) {
      loops++;
      const spills = spillsOf(loop, framed);
      if (spills.length === 0) continue;
      const stores = spills.filter(({ text }) => /\)(\{%k\d\})?$/.test(text)).length;
      const where = `${name.replaceAll("(anonymous namespace)::", "")}, loop at ${loop[0].address.toString(16)}`;
      const count = `${stores} stored, ${spills.length - stores} read`;
      const reason = BY_DESIGN.find(([pattern]) => pattern.test(name))?.[1];
      console.log(
        `${reason ? "by design" : "SPILLS"}: ${where}: ${count}${reason ? ` (${reason})` : ""}`,
      );
      if (reason) continue;
      faults++;
      for (const { address, text } of spills) console.log(`    ${address.toString(16)}: ${text}`);
    }
  }
  console.log(`${path}: ${faults} of ${loops} hot loops keep vectors on the stack`);
  return faults > 0;
}

function skip(why) {
  console.log(`missing: ${why}`);
  process.exit(77);
}

const built = ["avx2", "avx512"].map((isa) =>
  fileURLToPath(
    new URL(`../../build/Release/obj.target/isa_${isa}/native/isa/${isa}.o`, import.meta.url),
  ),
);
const objects = process.argv.length > 2 ? process.argv.slice(2) : built;
for (const path of objects) if (!existsSync(path)) skip(path);
process.exitCode = objects.map(check).includes(true) ? 1 : 0;
