/** The page about a network: one file without addresses, whatever the model is called; in a real browser it shows, points and moves. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compile } from "../../src/compile.js";
import { Tensor } from "../../src/core/tensor.js";
import * as nn from "../../src/nn/index.js";
import { receptiveField } from "../../src/receptive-field/index.js";
import { report } from "../../src/report/index.js";
import { BROWSER_FLAGS, browser, missing } from "../support/tools.js";

const root = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "xcorr-report-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const net = () =>
  compile(
    new nn.Sequential(
      new nn.Conv2d(3, 4, 3, { padding: 1, seed: 1 }),
      new nn.ReLU(),
      new nn.Conv2d(4, 6, 3, { stride: 2, seed: 2 }),
    ),
    Tensor.zeros([1, 3, 20, 24]),
    { backend: "reference" },
  );
const feeds = { input: Tensor.randn([1, 3, 20, 24], { seed: 1 }) };
const shown = Tensor.zeros([20, 24, 3], "uint8");

it("is one file that loads nothing, and holds what comes from a model as data only", async () => {
  const hostile = '</script><img src=x onerror="alert(1)">';
  const page = await report(net(), feeds, { shown, title: hostile });
  expect(page).not.toContain("<img src=x");
  expect(page.match(/<script/g)?.length).toBe(3);
  expect(page.match(/<\/script/g)?.length).toBe(3);
  expect(page).toContain("default-src 'none'");
  expect(page.replace(/https?:\/\/www\.w3\.org\/2000\/svg/g, "")).not.toMatch(
    /(?:src|href)\s*=\s*["'](?!data:)[a-z]+:/i,
  );
});

it("numbers that are not finite, and inputs that are no image, are said to be so", async () => {
  const broken = { input: Tensor.full([1, 3, 20, 24], Number.NaN) };
  const page = await report(net(), broken, { shown });
  expect(page).toMatch(/"broken":[1-9]/);
  const flat = compile(new nn.Linear(4, 2, { seed: 1 }), Tensor.zeros([1, 4]), {
    backend: "reference",
  });
  await expect(report(flat, { input: Tensor.zeros([1, 4]) }, { shown })).rejects.toThrow(
    "report: expected an input that is one image (1, C, H, W), got (1, 4)",
  );
});

describe("in a browser", () => {
  let chrome: Browser | undefined;
  beforeAll(async () => {
    const executablePath = browser();
    if (executablePath) chrome = await chromium.launch({ executablePath, args: BROWSER_FLAGS });
  });
  afterAll(async () => chrome?.close());

  /** Opens a page; anything that it asks of the network, and any error, ends in the list. */
  async function open(
    file: string,
    colorScheme: "light" | "dark" = "light",
  ): Promise<{ page: Page; faults: string[] }> {
    const page = await (chrome as Browser).newPage({
      viewport: { width: 1440, height: 900 },
      colorScheme,
    });
    const faults: string[] = [];
    page.on("console", (m) => m.type() === "error" && faults.push(m.text()));
    page.on("pageerror", (e) => faults.push(e.message));
    page.on("request", (r) => !/^(file|data):/.test(r.url()) && faults.push(r.url()));
    await page.goto(pathToFileURL(file).href);
    await page.waitForSelector(".maps canvas");
    return { page, faults };
  }

  it("a unit that is pointed at shows its box, by mouse and by keyboard; layers are chosen by arrow keys", async (context) => {
    if (!chrome) return missing(context, "browser");
    const network = net();
    const file = join(folder, "small.html");
    writeFileSync(file, await report(network, feeds, { shown, title: "small" }));
    const { page, faults } = await open(file);
    expect(await page.locator(".row[role=option]").count()).toBe(
      network.explain(feeds).steps.length,
    );
    const field = receptiveField(network, { input: feeds });
    const said = () => page.locator("#where").textContent();
    const check = async (y: number, x: number, layer: string) => {
      const box = field.box(layer, y, x);
      expect(await said()).toContain(`unit ${y}, ${x} `);
      expect(await said()).toContain(
        `sees rows ${box?.top} to ${box?.bottom}, columns ${box?.left} to ${box?.right}.`,
      );
    };
    await page.locator("#layers").focus();
    await page.keyboard.press("End");
    const cell = page.locator(".maps canvas").first();
    const size = await cell.boundingBox();
    if (!size) throw new Error("no map");
    // The last layer is 9 x 11.
    await cell.hover({ position: { x: (size.width * 10.5) / 11, y: (size.height * 2.5) / 9 } });
    await check(2, 10, "output");
    await cell.focus();
    await page.keyboard.press("ArrowUp");
    await check(1, 10, "output");
    await page.keyboard.press("ArrowRight");
    await check(1, 10, "output");
    expect(faults).toEqual([]);
    await page.close();
  });

  it("is dark where the system is, and where the button says so", async (context) => {
    if (!chrome) return missing(context, "browser");
    const file = join(folder, "small.html");
    const { page } = await open(file, "dark");
    const background = () => page.evaluate("getComputedStyle(document.body).backgroundColor");
    const dark = await background();
    await page.locator("#theme").click();
    expect(await background()).not.toBe(dark);
    expect(dark).toBe("rgb(22, 23, 26)");
    await page.close();
  });

  it.each([
    [
      "EfficientNet-Lite0 and a cat",
      "models/efficientnet_lite0_int8w.onnx",
      "photos/chelsea.png",
      "Egyptian cat",
    ],
    [
      "LeNet and a photo that is no digit",
      "test/data/models/lenet5_mnist.onnx",
      "photos/coffee.png",
      "",
    ],
  ])(
    "%s, by the command line",
    async (_name, model, photo, best) => {
      const file = join(folder, "page.html");
      const args = [root("dist/cli/main.js"), "inspect", root(model), root(photo), "--html", file];
      expect(execFileSync(process.execPath, args, { encoding: "utf8" })).toContain(
        "open it in a browser",
      );
      expect(readFileSync(file).length).toBeLessThan(5e6);
      if (!chrome) return;
      const { page, faults } = await open(file);
      if (best) expect(await page.locator("#classes").textContent()).toContain(best);
      for (const key of ["End", "Home"]) {
        await page.locator("#layers").focus();
        await page.keyboard.press(key);
      }
      await page.waitForSelector(".detail canvas");
      expect(faults).toEqual([]);
      await page.close();
    },
    60_000,
  );
});
