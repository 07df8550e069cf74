/** SummaryWriter: its files, and what TensorBoard's own reader, its server and its page in a browser make of them. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { decode } from "fast-png";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compile } from "../../src/compile.js";
import { Tensor } from "../../src/core/tensor.js";
import * as nn from "../../src/nn/index.js";
import { SummaryWriter, summary } from "../../src/tensorboard/index.js";
import { BROWSER_FLAGS, browser, missing, pythonWith } from "../support/tools.js";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "xcorr-tb-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const library = new URL("../../dist/tensorboard/index.js", import.meta.url).href;
const python = pythonWith("tensorboard");
const reader = fileURLToPath(new URL("read.py", import.meta.url));
const read = (logdir: string) =>
  JSON.parse(
    execFileSync(python as string, [reader, logdir], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }),
  );

/** Lengths of the records of a file. */
function recordLengths(path: string): number[] {
  const bytes = readFileSync(path);
  const lengths: number[] = [];
  for (let at = 0; at < bytes.length; at += 16 + lengths[lengths.length - 1])
    lengths.push(Number(bytes.readBigUInt64LE(at)));
  return lengths;
}

describe("the file", () => {
  it("begins with its version, and its checksums are masked CRC-32C", () => {
    const logdir = join(folder, "first");
    const writer = new SummaryWriter(logdir, { filenameSuffix: ".test" });
    const bytes = readFileSync(writer.path);
    expect(writer.path).toMatch(/events\.out\.tfevents\.\d{10}\..*\.test$/);
    expect(bytes.toString("latin1")).toContain("brain.Event:2");
    // A record of 9 bytes "123456789" would have the published checksum; here that of an 8-byte length field is checked by TensorBoard below.
    expect(recordLengths(writer.path).length).toBe(1);
    writer.close();
    expect(() => writer.addScalar("a", 1)).toThrow(
      "expected a writer that is open, got one after close()",
    );
  });

  it("two writers never share a file", () => {
    const logdir = join(folder, "two");
    const [a, b] = [new SummaryWriter(logdir), new SummaryWriter(logdir)];
    expect(a.path).not.toBe(b.path);
    a.close();
    b.close();
  });

  it.each([
    ["process.exit", "process.exit(0)"],
    ["an uncaught error", "throw new Error('stop')"],
    ["the end of the script", ""],
  ])("loses nothing at %s", (_name, end) => {
    const logdir = join(folder, `exit ${_name}`);
    const code = `import { SummaryWriter } from ${JSON.stringify(library)};
      const writer = new SummaryWriter(${JSON.stringify(logdir)}, { maxQueue: 1000 });
      for (let i = 0; i < 100; i++) writer.addScalar("loss", i, i);
      ${end}`;
    spawnSync(process.execPath, ["--input-type=module", "-e", code]);
    expect(recordLengths(join(logdir, readdirSync(logdir)[0])).length).toBe(101);
  });

  it("a directory that cannot be written to is an error that says so", () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    expect(() => new SummaryWriter(join(file, "log"))).toThrow(
      "SummaryWriter: expected a log directory that can be written to, got ENOTDIR",
    );
    expect(() => new SummaryWriter("")).toThrow("expected a log directory");
  });

  it("a full disk is an error; what was written stays whole", (context) => {
    const mount = join(folder, "full");
    const code = `mkdir -p ${mount} && mount -t tmpfs -o size=64k tmpfs ${mount}`;
    if (spawnSync("sh", ["-c", code]).status !== 0) context.skip("cannot mount a small disk here");
    try {
      const writer = new SummaryWriter(mount, { maxQueue: 0 });
      writer.addScalar("a", 1, 1);
      const noise = Tensor.rand([3, 200, 200], { seed: 1 });
      expect(() => writer.addImage("big", noise)).toThrow(/expected room for \d+ bytes .*ENOSPC/);
      expect(recordLengths(writer.path).length).toBe(2);
      spawnSync("mount", ["-o", "remount,size=1m", mount]);
      writer.close();
      expect(recordLengths(writer.path).length).toBe(3);
    } finally {
      spawnSync("umount", [mount]);
    }
  });
});

it("bad input is an error, and what was added before stays", () => {
  const logdir = join(folder, "bad");
  const writer = new SummaryWriter(logdir, { maxQueue: 0 });
  writer.addScalar("loss", 1, 1);
  const nan = Tensor.from([1, Number.NaN]);
  expect(() => writer.addHistogram("h", nan)).toThrow(
    "addHistogram: expected finite numbers, got 1 of 2 that are NaN or infinite",
  );
  expect(() => writer.addHistogram("h", [])).toThrow("expected numbers to count, got none");
  expect(() => writer.addImage("i", nan)).toThrow("expected an image (C, H, W), got (2,)");
  expect(() => writer.addImage("i", nan.reshape([1, 1, 2]))).toThrow(
    "expected finite numbers, got NaN at row 0, column 1",
  );
  expect(() => writer.addImage("i", Tensor.zeros([2, 4, 4]))).toThrow(
    "expected 1, 3 or 4 channels, got 2",
  );
  expect(() => writer.addImage("i", Tensor.zeros([1, 2, 2], "int32"))).toThrow(
    "expected an image of float32 from 0 to 1, or uint8, got int32",
  );
  expect(() => writer.addScalar("", 1)).toThrow('addScalar: expected a tag, got ""');
  expect(() => writer.addScalar("s", 1, 1.5)).toThrow('expected an integer for "step", got 1.5');
  expect(() => writer.addScalar("s", "1" as never)).toThrow("expected a number");
  expect(() => writer.addPrCurve("p", [1, 0], [0.5, 2])).toThrow(
    "expected predictions from 0 to 1, got 2",
  );
  expect(() => writer.addGraph(new nn.Conv2d(1, 1, 3))).toThrow(
    "addGraph: expected an example input",
  );
  expect(() => new SummaryWriter(logdir, { maxQue: 1 } as never)).toThrow(
    'did you mean "maxQueue"?',
  );
  writer.close();
  expect(recordLengths(writer.path).length).toBe(2);
});

/** A log with everything in it. */
function writeAll(logdir: string): { image: Tensor; writer: SummaryWriter } {
  const writer = new SummaryWriter(logdir);
  for (const [step, value] of [3, 2, 1.5, Number.NaN].entries())
    writer.addScalar("loss/train", value, step);
  writer.addScalars("accuracy", { train: 0.5, test: 0.25 }, 1);
  writer.addHistogram("normal", Tensor.randn([1000], { seed: 1 }), 2);
  writer.addHistogram("equal bins", [0, 1, 2, 3], 0, { bins: 2 });
  const image = Tensor.rand([3, 5, 7], { seed: 2 });
  writer.addImage("colour", image, 4);
  writer.addImages("batch", Tensor.rand([4, 1, 6, 6], { seed: 3 }));
  writer.addImageWithBoxes("boxes", Tensor.zeros([1, 20, 20]), Tensor.from([[2, 3, 10, 12]]));
  writer.addText("notes", "# Hello\n*from xcorr*");
  writer.addHparams({ lr: 0.1, nesterov: true, optimizer: "SGD" }, { "hparam/accuracy": 0.9 });
  writer.addPrCurve("curve", [1, 0, 1, 1], [0.9, 0.1, 0.6, 0.4], 0, { thresholds: 5 });
  writer.addEmbedding(Tensor.randn([4, 3], { seed: 4 }), {
    metadata: ["a", "b", "c", "d"],
    labelImg: Tensor.rand([4, 3, 8, 8]),
  });
  const first = new nn.Conv2d(3, 4, 3, { seed: 1 });
  const net = new nn.Sequential(first, new nn.ReLU());
  writer.addGraph(net, [1, 3, 8, 8]);
  writer.addPicture("kernels/0", summary.kernels(first).picture);
  writer.close();
  return { image, writer };
}

it("TensorBoard's reader finds what was written", (context) => {
  if (!python) return missing(context, "tensorboard");
  const logdir = join(folder, "all");
  const { image } = writeAll(logdir);
  const log = read(logdir);
  expect(log.scalars["loss/train"]).toEqual([
    [0, 3],
    [1, 2],
    [2, 1.5],
    [3, "NaN"],
  ]);
  expect(read(join(logdir, "accuracy_test")).scalars.accuracy).toEqual([[1, 0.25]]);
  const normal = log.histograms.normal;
  const values = Tensor.randn([1000], { seed: 1 }).data as Float32Array;
  expect(normal.num).toBe(1000);
  expect(normal.min).toBe(Math.min(...values));
  expect(normal.sum).toBeCloseTo(
    values.reduce((a, b) => a + b, 0),
    2,
  );
  expect(normal.bucket.reduce((a: number, b: number) => a + b, 0)).toBe(1000);
  // Every number lies in the bucket that counts it.
  const counted = normal.limit.map(
    (limit: number, k: number) =>
      values.filter((v) => v < limit && v >= (normal.limit[k - 1] ?? Number.NEGATIVE_INFINITY))
        .length,
  );
  expect(counted).toEqual(normal.bucket);
  expect(log.histograms["equal bins"]).toMatchObject({ limit: [1.5, 3], bucket: [2, 2] });
  const [[step, width, height, png]] = log.images.colour;
  expect([step, width, height]).toEqual([4, 7, 5]);
  const { data } = decode(Buffer.from(png, "base64"));
  for (let y = 0; y < 5; y++)
    for (let x = 0; x < 7; x++)
      for (let c = 0; c < 3; c++)
        expect(data[(y * 7 + x) * 3 + c]).toBe(
          Math.round((image.data[(c * 5 + y) * 7 + x] as number) * 255),
        );
  expect(log.images.batch[0].slice(1, 3)).toEqual([18, 18]);
  expect(log.tensors["notes/text_summary"]).toEqual(["# Hello\n*from xcorr*"]);
  expect(log.tensors.curve).toEqual([
    [3, 3, 2, 1, 0],
    [1, 0, 0, 0, 0],
    [0, 1, 1, 1, 1],
    [0, 0, 1, 2, 3],
    [0.75, 1, 1, 1, 0],
    [1, 1, Math.fround(2 / 3), Math.fround(1 / 3), 0],
  ]);
  expect(log.graph.map(({ op }: { op: string }) => op)).toEqual([
    "Input",
    "conv2d",
    "relu",
    "Output",
  ]);
  expect(log.graph[1]).toMatchObject({
    input: ["input"],
    attr: expect.arrayContaining(["_output_shapes", "parameters", "stride"]),
  });
  expect(readFileSync(join(logdir, "projector_config.pbtxt"), "utf8")).toContain(
    'tensor_path: "00000/default/tensors.tsv"',
  );
});

it("of a file that is cut off or damaged the records before stay readable", (context) => {
  if (!python) return missing(context, "tensorboard");
  const logdir = join(folder, "damaged");
  const writer = new SummaryWriter(logdir);
  for (let i = 0; i < 5; i++) writer.addScalar("loss", i, i);
  writer.close();
  const whole = readFileSync(writer.path);
  writeFileSync(writer.path, whole.subarray(0, whole.length - 3));
  expect(read(logdir).scalars.loss).toEqual([
    [0, 0],
    [1, 1],
    [2, 2],
    [3, 3],
  ]);
  const flipped = Buffer.from(whole);
  flipped[whole.length - 20] ^= 4;
  writeFileSync(writer.path, flipped);
  expect(read(logdir).scalars.loss.length).toBe(4);
});

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

/** Starts TensorBoard on a log and waits until it answers with runs. */
async function serve(logdir: string): Promise<{ url: string; server: ChildProcess }> {
  const port = await freePort();
  const server = spawn(
    python as string,
    [
      "-m",
      "tensorboard.main",
      "--logdir",
      logdir,
      "--port",
      String(port),
      "--host",
      "127.0.0.1",
      "--load_fast=false",
      "--reload_interval=1",
    ],
    { stdio: "ignore" },
  );
  const url = `http://127.0.0.1:${port}`;
  for (let i = 0; i < 120; i++) {
    const runs = await fetch(`${url}/data/runs`).then(
      (r) => r.json(),
      () => [],
    );
    if ((runs as string[]).length > 0) return { url, server };
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  server.kill();
  throw new Error("TensorBoard did not start");
}

it("TensorBoard serves the values and the very bytes of the pictures, and shows kernels and feature maps in its page", async (context) => {
  if (!python) return missing(context, "tensorboard");
  const logdir = join(folder, "served");
  const first = new nn.Conv2d(3, 8, 5, { seed: 1 });
  const net = new nn.Sequential(first, new nn.ReLU());
  const writer = new SummaryWriter(logdir);
  writer.addScalar("loss", 0.5, 7);
  writer.addText("notes", "hello");
  const plate = summary.kernels(first);
  writer.addPicture("kernels/first", plate.picture, 0, plate);
  const x = Tensor.rand([1, 3, 24, 24], { seed: 1 });
  const maps = await summary.featureMaps(compile(net, x, { backend: "reference" }), x, ["output"]);
  writer.addPicture("feature_maps/output", maps.output.plate.picture, 0, maps.output.plate);
  writer.close();
  const written = read(logdir).images["kernels/first"][0][3];
  const { url, server } = await serve(logdir);
  try {
    const json = async (path: string) => (await fetch(`${url}/data/plugin/${path}`)).json();
    expect(await json("scalars/scalars?run=.&tag=loss")).toEqual([[expect.any(Number), 7, 0.5]]);
    const [{ query }] = (await json("images/images?run=.&tag=kernels%2Ffirst&sample=0")) as {
      query: string;
    }[];
    const served = Buffer.from(
      await (await fetch(`${url}/data/plugin/images/individualImage?${query}`)).arrayBuffer(),
    );
    expect(served.toString("base64")).toBe(written);
    expect(JSON.stringify(await json("images/tags"))).toContain("White is 0, red");
    const executablePath = browser();
    if (!executablePath) return missing(context, "browser");
    const page = await (await chromium.launch({ executablePath, args: BROWSER_FLAGS })).newPage({
      viewport: { width: 1400, height: 900 },
    });
    try {
      await page.goto(`${url}/#images`);
      // In the page's shadow roots: both pictures are there, and loaded.
      await page.waitForFunction(
        `(() => {
        const all = (root) => [...root.querySelectorAll("*")].flatMap((e) => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])]);
        const shown = all(document).filter((e) => e.tagName === "IMG" && e.src.includes("mage") && e.naturalWidth > 200);
        return shown.length >= 2;
      })()`,
        undefined,
        { timeout: 60_000 },
      );
      const text = await page.evaluate(`(() => {
        const text = (root) => [...root.childNodes].map((n) => (n.nodeType === 3 ? n.data : text(n) + (n.shadowRoot ? text(n.shadowRoot) : ""))).join(" ");
        return text(document.body);
      })()`);
      expect(text).toContain("kernels");
      expect(text).toContain("feature_maps");
      const { data } = decode(await page.screenshot());
      const colours = new Set<number>();
      for (let i = 0; i < data.length; i += 3 * 97)
        colours.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
      expect(colours.size).toBeGreaterThan(50);
    } finally {
      await page.context().browser()?.close();
    }
  } finally {
    server.kill();
  }
}, 180_000);
