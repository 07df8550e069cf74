import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const src = (file: string) => fileURLToPath(new URL(`src/${file}`, import.meta.url));

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
  // Vitest would leave one core to itself, which of two is half.
  test: { include: ["test/**/*.test.ts"], testTimeout: 60_000, maxWorkers: "100%" },
});
