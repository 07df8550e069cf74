/** What bad input says: the class, and the whole message. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { functional as F, nn, OptionError, ShapeError, Tensor, TensorError } from "../src/index.js";

const x = Tensor.zeros([1, 4, 8, 8]);
const w = Tensor.zeros([6, 3, 3, 3]);
// Misspelt and mistyped options are what these calls are for, so they go around the types.
const wrong = (options: object): F.ConvOptions => options;

const table: [string, () => unknown, new (...args: never[]) => Error, string][] = [
  [
    "channels",
    () => F.conv2d(x, w),
    ShapeError,
    "conv2d: expected 3 input channels for weight (6, 3, 3, 3), got 4 in input (1, 4, 8, 8)",
  ],
  [
    "rank",
    () => F.conv2d(Tensor.zeros([8]), w),
    ShapeError,
    "conv2d: expected input (N, C, H, W) or (C, H, W), got 1 axes: (8,)",
  ],
  [
    "misspelt",
    () => F.conv2d(x, w, wrong({ strides: 2 })),
    OptionError,
    'conv2d: unknown option "strides"; did you mean "stride"?',
  ],
  [
    "zero stride",
    () => F.conv2d(x, w, { stride: 0 }),
    OptionError,
    'conv2d: expected an integer >= 1 for "stride", got 0',
  ],
  [
    "fraction",
    () => F.conv2d(x, w, { padding: 0.5 }),
    OptionError,
    'conv2d: expected an integer >= 0 for "padding", got 0.5',
  ],
  [
    "NaN",
    () => F.conv2d(x, w, { dilation: Number.NaN }),
    OptionError,
    'conv2d: expected an integer >= 1 for "dilation", got NaN',
  ],
  [
    "window",
    () => F.maxPool2d(x, 9),
    ShapeError,
    "maxPool2d: expected a padded input of at least 9 along spatial axis 0 (kernel 9, dilation 1), got 8 (input (8, 8), padding 0 + 0)",
  ],
  [
    "pool padding",
    () => F.maxPool2d(x, 2, { padding: 2 }),
    OptionError,
    "maxPool2d: expected padding of at most half the window (1), got 2",
  ],
  [
    "ragged",
    () => Tensor.from([[1, 2], [3]]),
    ShapeError,
    "Tensor.from: expected 2 entries at depth 1, got 1; nested arrays must not be ragged",
  ],
  [
    "size",
    () => new Tensor(new Float32Array(5), [2, 3]),
    ShapeError,
    "Tensor: expected 6 elements for shape (2, 3) (float32), got 5",
  ],
  [
    "negative size",
    () => Tensor.zeros([2, -1]),
    ShapeError,
    "Tensor.zeros: expected sizes that are integers >= 0, got -1 in [2, -1]",
  ],
  [
    "dtype",
    () => F.conv2d(Tensor.zeros([1, 3, 8, 8], "int32"), w),
    TensorError,
    'conv2d: expected float tensors, got int32; cast it first: cast(x, "float32")',
  ],
  [
    "layer",
    () => new nn.Conv2d(3, 4, 3, { groups: 2 }),
    OptionError,
    "Conv2d: expected channels divisible by groups 2, got 3 in, 4 out",
  ],
];

it.each(table)("%s", (_name, call, type, message) => {
  let thrown: unknown;
  try {
    call();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(type);
  expect((thrown as Error).message).toBe(message);
});

it("a detached buffer", () => {
  const t = Tensor.zeros([3, 8, 8]);
  structuredClone(t.data.buffer, { transfer: [t.data.buffer as ArrayBuffer] });
  expect(() => F.relu(t)).toThrow(
    "relu: expected 192 elements for shape (3, 8, 8), got an empty or detached buffer; was it transferred to a worker?",
  );
});

const main = fileURLToPath(new URL("../dist/index.js", import.meta.url));
describe.runIf(existsSync(main))("the environment", () => {
  const script = `import(${JSON.stringify(main)}).then(({ backend }) => console.log(backend.name)).catch((e) => { console.log(e.code); })`;
  const run = (env: Record<string, string>) =>
    spawnSync(process.execPath, ["-e", script], {
      env: { ...process.env, ...env },
      encoding: "utf8",
    });

  it("a missing binary falls back with one warning", () => {
    const { stdout, stderr } = run({ XCORR_BINARY: "/nowhere/xcorr.node" });
    expect(stdout.trim()).toBe("reference");
    expect(stderr.match(/XCORR_FALLBACK/g)).toHaveLength(1);
  });
  it("asking for native then throws", () => {
    expect(
      run({ XCORR_BINARY: "/nowhere/xcorr.node", XCORR_BACKEND: "native" }).stdout.trim(),
    ).toBe("XCORR_ADDON");
  });
  it("an unknown instruction set", () => {
    expect(run({ XCORR_ISA: "avx3" }).stdout.trim()).toBe("XCORR_OPTION");
  });
  it("require works too", () => {
    expect(
      execFileSync(
        process.execPath,
        [
          "--no-warnings",
          "-e",
          `console.log(typeof require(${JSON.stringify(main)}).functional.conv2d)`,
        ],
        { encoding: "utf8" },
      ).trim(),
    ).toBe("function");
  });
});
