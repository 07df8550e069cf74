/** The command line as a shell sees it: output, JSON, exit codes. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { formatNpy, parseNpy } from "../src/cli/npy.js";
import { loadSafetensors, ModelFormatError, saveSafetensors, Tensor } from "../src/index.js";

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const lenet = fileURLToPath(new URL("data/models/lenet5_mnist.onnx", import.meta.url));
const root = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));
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

describe("xcorr receptive-field", () => {
  it("prints every layer; --json has numbers; a unit's box goes onto a photo", () => {
    const folder = mkdtempSync(join(tmpdir(), "xcorr-cli-"));
    try {
      const table = xcorr("receptive-field", lenet);
      expect(table.status).toBe(0);
      expect(table.stdout).toMatch(/layer +op +shape +field +stride +padding +offset/);
      const { layers } = JSON.parse(xcorr("receptive-field", lenet, "--json").stdout);
      const [first] = layers;
      expect(first.axes[0].size).toBeGreaterThan(1);
      const png = join(folder, "box.png");
      const photo = [
        "--photo",
        root("photos/coffee.png"),
        "--unit",
        `${first.name}:3,4`,
        "--png",
        png,
      ];
      const drawn = xcorr("receptive-field", lenet, ...photo);
      expect(drawn.stderr).toBe("");
      expect(readFileSync(png).subarray(1, 4).toString()).toBe("PNG");
      expect(drawn.stdout).toContain('"y":3,"x":4');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("says what is wrong, with exit code 2 for wrong usage", () => {
    const unknown = xcorr("receptive-field", lenet, "--unit", "nowhere:0,0");
    expect(unknown).toMatchObject({ status: 2 });
    expect(unknown.stderr).toContain("expected the name of a layer that the image reaches");
    expect(
      xcorr("receptive-field", lenet, "--png", "x.png", "--unit", "input:0,0").status,
    ).not.toBe(0);
  });
});

describe("xcorr visualize", () => {
  it("records a log, and says how to look at it", () => {
    const folder = mkdtempSync(join(tmpdir(), "xcorr-cli-"));
    try {
      const done = xcorr("visualize", lenet, root("photos/coffee.png"), "--logdir", folder);
      expect(done.stderr).toBe("");
      expect(done.stdout).toContain(`tensorboard --logdir ${folder}`);
      expect(done.stdout).toContain("http://localhost:6006/");
      expect(readdirSync(folder)).toHaveLength(1);
      expect(xcorr("visualize", lenet, "missing.jpg", "--logdir", folder).status).toBe(1);
      expect(xcorr("visualize", lenet).status).toBe(2);
      expect(xcorr("inspect", lenet, "--html", join(folder, "x.html")).status).toBe(2);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
