// One file per entry of the package, and what they share in chunks: Node takes about half a millisecond to find and load each module (docs/decisions/0009-rolldown.md).
import { readFileSync } from "node:fs";
import { defineConfig } from "rolldown";

const { exports, bin, dependencies, peerDependencies } = JSON.parse(
  readFileSync("package.json", "utf8"),
);
const packages = ["xcorr", ...Object.keys({ ...dependencies, ...peerDependencies })];
const built = [...Object.values(exports).map((entry) => entry.default), ...Object.values(bin)];
const entries = built.filter(Boolean).map((file) => /^\.\/dist\/(.*)\.js$/.exec(file)[1]);

export default defineConfig({
  input: Object.fromEntries([...entries, "internals"].map((name) => [name, `src/${name}.ts`])),
  logLevel: "warn",
  platform: "node",
  transform: { target: "es2022" },
  // Packages stay packages, but for the reader of messages, of which we need 3 modules of 19.
  external: packages.map((name) => new RegExp(`^${name}(/|$)`)),
  plugins: [
    {
      name: "keep the notices of what is taken in",
      transform: {
        filter: { id: /node_modules/ },
        handler: (code) => code.replace(/^(\/\/.*\n)+/, (notice) => `/*!\n${notice}*/\n`),
      },
    },
  ],
  output: {
    dir: "dist",
    cleanDir: true,
    sourcemap: true,
    chunkFileNames: "chunks/[name].js",
    advancedChunks: {
      groups: [
        { name: "messages", test: /@bufbuild/ },
        { name: "core", test: /src\/core/ },
        { name: "network", test: /src\/(backends|graph|ops|compile|network)/ },
      ],
    },
  },
});
