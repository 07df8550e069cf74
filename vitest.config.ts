import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const src = (file: string) => fileURLToPath(new URL(`src/${file}`, import.meta.url));

const timed = "test/examples.test.ts";

export default defineConfig({
  resolve: {
    // Tests and examples import the package by its public names and run on the sources.
    alias: [
      { find: /^xcorr$/, replacement: src("index.ts") },
      {
        find: /^xcorr\/(onnx|image|receptive-field|report|tensorboard)$/,
        replacement: src("$1/index.ts"),
      },
    ],
  },
  test: {
    testTimeout: 60_000,
    // Vitest would leave one core to itself, which of two is half.
    maxWorkers: "100%",
    projects: [
      // An example says how long it may take: it has the machine for itself.
      {
        extends: true,
        test: { name: "timed", include: [timed], sequence: { groupOrder: 0 } },
      },
      {
        extends: true,
        test: {
          name: "all",
          include: ["test/**/*.test.ts"],
          exclude: [timed],
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
