/** Who may import whom, and that lists are complete. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { loadAddon } from "../src/backends/addon.js";
import { ops } from "../src/ops/index.js";

const root = fileURLToPath(new URL("..", import.meta.url));

function filesBelow(folder: string, pattern: RegExp): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

/** Folder (or file at the top of src) -> what it may import besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  ops: ["core"],
  backends: ["core"],
  nn: ["core", "ops"],
  graph: ["core", "ops"],
  "network.ts": ["core", "graph"],
  "compile.ts": ["core", "graph", "network.ts"],
  onnx: ["core", "ops", "graph", "network.ts", "compile.ts", "backends"],
  image: ["core"],
  "receptive-field": ["core", "graph", "backends", "network.ts", "compile.ts"],
  report: ["core", "backends", "network.ts", "receptive-field", "tensorboard"],
  tensorboard: ["core", "graph", "backends", "network.ts", "compile.ts"],
  "functional.ts": ["ops"],
  "safetensors.ts": ["core"],
  optim: ["core"],
  data: ["core"],
  "index.ts": [
    "core",
    "ops",
    "backends",
    "nn",
    "network.ts",
    "compile.ts",
    "optim",
    "data",
    "functional.ts",
    "safetensors.ts",
  ],
  // The .npy reader makes tensors from bytes; all else of the command line uses the public entries.
  cli: ["core"],
  // What the benches need.
  "internals.ts": ["backends", "cli", "onnx"],
};

it("every import of src is allowed", () => {
  const offences: string[] = [];
  for (const file of filesBelow("src", /\.ts$/)) {
    const from = file.split("/")[1];
    for (const [, target] of readFileSync(join(root, file), "utf8").matchAll(
      /(?:from |import |import\()"(\.[^"]+)"/g,
    )) {
      const to = relative("src", join(dirname(file), target))
        .replace(/\.js$/, ".ts")
        .split("/")[0];
      if (to !== from && !MAY_IMPORT[from]?.includes(to))
        offences.push(`${file} imports ${target}`);
    }
  }
  expect(offences).toEqual([]);
});

it("every include of native goes to the left", () => {
  const order = ["simd", "kernels", "isa", "runtime", "ops", "network", "addon"];
  const offences: string[] = [];
  for (const file of filesBelow("native", /\.(h|cpp)$/)) {
    const from = order.indexOf(file.split("/")[1]);
    if (from < 0) continue; // native/test
    for (const [, target] of readFileSync(join(root, file), "utf8").matchAll(
      /#include "([^"]+)"/g,
    )) {
      const to = order.indexOf(relative("native", join(dirname(file), target)).split("/")[0]);
      if (to > from || (from > 2 && to < 2 && !/kernels\/(args|table)\.h$/.test(target)))
        offences.push(`${file} includes ${target}`);
    }
    if (from < order.indexOf("addon") && readFileSync(join(root, file), "utf8").includes("napi.h"))
      offences.push(`${file} includes napi.h`);
  }
  expect(
    offences.filter((o) => !o.includes("includes ../isa/isa.inc") && !o.endsWith("kernels.inc")),
  ).toEqual([]);
});

it("only kernels' tables leave the units of an instruction set: their headers include nothing that others share", () => {
  const allowed = /^<(stddef\.h|stdint\.h|emmintrin\.h|immintrin\.h|arm_neon\.h)>$/;
  const offences = [
    ...filesBelow("native/simd", /\.h$/),
    ...filesBelow("native/kernels", /\.h$/),
    ...filesBelow("native/isa", /\.cpp$/),
  ].flatMap((file) =>
    [...readFileSync(join(root, file), "utf8").matchAll(/#include (<[^>]+>)/g)]
      .filter(([, name]) => !allowed.test(name))
      .map(([, name]) => `${file} includes ${name}`),
  );
  expect(offences).toEqual([]);
});

it("every native op is an op", () => {
  expect(loadAddon().ops.filter((name) => !ops.has(name))).toEqual([]);
});

it("every op is in the list of docs/ops.md", () => {
  const page = readFileSync(join(root, "docs/ops.md"), "utf8");
  expect([...ops.keys()].filter((name) => !new RegExp(`\`${name}[ \`]`).test(page))).toEqual([]);
});

it("every file of native is built", () => {
  const gyp = readFileSync(join(root, "binding.gyp"), "utf8");
  expect(
    filesBelow("native", /\.cpp$/).filter(
      (file) => !file.startsWith("native/test/") && !gyp.includes(`"${file}"`),
    ),
  ).toEqual([]);
});
