/** The package as its users get it: what is in it, and that import, require and both kinds of types find every entry. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  exports: Record<string, unknown>;
};
const entries = Object.keys(exports)
  .filter((entry) => entry !== "./package.json")
  .map((entry) => entry.replace(/^\./, "xcorr"));

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "xcorr-package-"));
  mkdirSync(join(folder, "node_modules/@types"), { recursive: true });
  symlinkSync(root, join(folder, "node_modules/xcorr"));
  for (const types of ["@types/node", "undici-types"])
    symlinkSync(join(root, "node_modules", types), join(folder, "node_modules", types));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const node = (file: string, code: string): string => {
  writeFileSync(join(folder, file), code);
  return execFileSync(process.execPath, ["--preserve-symlinks", file], {
    cwd: folder,
    encoding: "utf8",
  });
};

it("holds the library, its sources and what the example needs, in a few megabytes", () => {
  const [pack] = JSON.parse(
    execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }),
  ) as { files: { path: string }[]; size: number }[];
  const paths = pack.files.map(({ path }) => path);
  for (const needed of ["dist/index.js", "dist/index.d.ts", "dist/cli/main.js", "binding.gyp"])
    expect(paths).toContain(needed);
  expect(paths.filter((path) => /^(test|bench|node_modules|build)\//.test(path))).toEqual([]);
  expect(pack.size).toBeLessThan(8e6);
});

it("every entry loads by import and by require, as one and the same module", () => {
  const names = JSON.stringify(entries);
  const code = `import { createRequire } from "node:module";
const require = createRequire(import.meta.url);
for (const name of ${names}) {
  const a = await import(name);
  const b = require(name);
  for (const key of Object.keys(a)) if (a[key] !== b[key]) throw new Error(name + " " + key);
}
console.log("same");`;
  expect(node("both.mjs", code)).toContain("same");
});

it("the core loads no picture decoder, and no addon before it is used", () => {
  const code = `await import("xcorr");
console.log(process.report.getReport().sharedObjects.some((f) => /sharp|xcorr\\.node/.test(f)));`;
  expect(node("lazy.mjs", code)).toBe("false\n");
});

it("types are found from ES modules and from CommonJS", () => {
  const body = `export const all = [${entries.map((_, i) => `Object.keys(m${i}).length`).join(", ")}];
export const shape: readonly number[] = m0.Tensor.zeros([2, 3]).shape;
// @ts-expect-error a shape is numbers
m0.Tensor.zeros("2, 3");
`;
  const imports = entries.map((name, i) => `import * as m${i} from "${name}";\n`).join("");
  const requires = entries.map((name, i) => `import m${i} = require("${name}");\n`).join("");
  writeFileSync(join(folder, "esm.mts"), imports + body);
  writeFileSync(join(folder, "cjs.cts"), requires + body);
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022"];
  const files = ["--preserveSymlinks", "esm.mts", "cjs.cts"];
  const { stdout } = spawnSync(process.execPath, [tsc, ...options, ...files], {
    cwd: folder,
    encoding: "utf8",
  });
  expect(stdout).toBe("");
}, 120_000);
