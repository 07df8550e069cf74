/**
 * Tools that a machine may lack: tests that need one are skipped by its name; where XCORR_REQUIRE lists it ("aarch64,tensorboard,browser", as in CI)
 * they fail instead.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { TestContext } from "vitest";

const required = (process.env.XCORR_REQUIRE ?? "").split(",");

/** Skips the test, or fails it where the tool is required. */
export function missing(context: TestContext, tool: string, why = `no ${tool} here`): never {
  if (required.includes(tool)) throw new Error(`${why}, and XCORR_REQUIRE lists ${tool}`);
  return context.skip(why) as never;
}

const venv = fileURLToPath(new URL("../../build/venv/bin/python", import.meta.url));

/** A Python that can import a package. */
export function pythonWith(name: string): string | undefined {
  return [venv, "python3"].find(
    (python) => spawnSync(python, ["-c", `import ${name}`]).status === 0,
  );
}

export const browser = (): string | undefined =>
  [
    process.env.CHROMIUM,
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
  ].find((path) => path && existsSync(path));

/** How a headless browser starts where nothing but localhost can be reached. */
export const BROWSER_FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
