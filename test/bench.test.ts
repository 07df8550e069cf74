/** The benchmarks on one small case, without anyone else's engines: they time what is right, and only that. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

it.runIf(existsSync(here("../dist/index.js")))(
  "an engine whose answer differs is named and not timed",
  () => {
    const folder = mkdtempSync(join(tmpdir(), "xcorr-bench-"));
    const out = join(folder, "results.json");
    const wrong = here("support/wrongEngine.js");
    const engines = `xcorr,reference,${wrong}`;
    const quick = ["--rounds", "2", "--seconds", "0.01", "--out", out];
    const { status, stdout } = spawnSync(
      process.execPath,
      [here("../bench/run.js"), "--cases", "lenet5,5x5 1-6", "--engines", engines, ...quick],
      { encoding: "utf8" },
    );
    expect(stdout).toMatch(/WRONG \(\S+ element 2 is .* instead of .*\), not timed/);
    expect(status).toBe(1);
    const { machine, runs } = JSON.parse(readFileSync(out, "utf8"));
    expect(machine.node).toBe(process.version);
    expect(runs[0].cases.map(({ name }: { name: string }) => name)).toEqual([
      "lenet5_mnist",
      "5x5 1-6 28x28, lenet",
    ]);
    for (const { results, macs } of runs[0].cases) {
      expect(macs).toBeGreaterThan(0);
      for (const name of ["xcorr", "reference"]) {
        expect(results[name].rounds).toHaveLength(2);
        expect(results[name].min).toBeLessThanOrEqual(results[name].median);
      }
      expect(results[wrong].wrong).toContain("element 2");
      expect(results[wrong].median).toBeUndefined();
    }
    rmSync(folder, { recursive: true });
  },
);
