/** The command line as a shell sees it: output, JSON, exit codes. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { formatNpy, parseNpy } from "../src/cli/npy.js";
import { loadSafetensors, ModelFormatError, saveSafetensors, Tensor } from "../src/index.js";

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const lenet = fileURLToPath(new URL("data/models/lenet5_mnist.onnx", import.meta.url));
const xcorr = (...args: string[]) =>
  spawnSync(process.execPath, ["--no-warnings", main, ...args], { encoding: "utf8" });

describe.runIf(existsSync(main))("xcorr", () => {
  it("classify finds the espresso", () => {
    const { stdout, status } = xcorr("classify", "--json", "--no-compare");
    expect(status).toBe(0);
    const { classes, backend } = JSON.parse(stdout);
    expect(backend).toBe("native");
    expect(classes[0].label).toBe("espresso");
    expect(classes[0].probability).toBeCloseTo(0.951, 2);
  });

  it("run reads and writes .npy", () => {
    const folder = mkdtempSync(join(tmpdir(), "xcorr-"));
    writeFileSync(join(folder, "x.npy"), formatNpy(Tensor.rand([2, 1, 28, 28], { seed: 1 })));
    const { status } = xcorr(
      "run",
      lenet,
      "--input",
      `input=${join(folder, "x.npy")}`,
      "--output",
      folder,
    );
    expect(status).toBe(0);
    const result = parseNpy(readFileSync(join(folder, "probabilities.npy")));
    expect(result.shape).toEqual([2, 10]);
  });

  it("inspect lists the steps", () => {
    const { stdout, status } = xcorr("inspect", lenet, "--shape", "input=1x1x28x28", "--json");
    expect(status).toBe(0);
    expect(JSON.parse(stdout).steps.length).toBeGreaterThan(3);
  });

  it("failures and wrong usage have exit codes of their own", () => {
    expect(xcorr("run", "/nowhere.onnx")).toMatchObject({ status: 1 });
    expect(xcorr("run", "/nowhere.onnx").stderr).toMatch(
      /^xcorr: load: expected a readable file, got ENOENT/,
    );
    expect(xcorr("clasify").status).toBe(2);
    expect(xcorr("run", lenet, "--input", "nonsense").status).toBe(2);
    expect(xcorr("--help").status).toBe(0);
  });
});

it("safetensors and npy give back what was saved, and refuse damage", () => {
  const state = { a: Tensor.rand([2, 3], { seed: 1 }), b: Tensor.from([1, 2], "int64") };
  const bytes = saveSafetensors(state);
  const loaded = loadSafetensors(bytes);
  expect(loaded.a.data).toEqual(state.a.data);
  expect(loaded.b.data).toEqual(state.b.data);
  expect(() => loadSafetensors(bytes.slice(0, -1))).toThrow(ModelFormatError);
  expect(() => loadSafetensors(new Uint8Array(20).fill(255))).toThrow(ModelFormatError);
  const npy = formatNpy(state.a);
  expect(parseNpy(npy).toArray()).toEqual(state.a.toArray());
  expect(() => parseNpy(npy.slice(0, -4))).toThrow(ModelFormatError);
});
