/**
 * The kernels without Node, against naive loops in double precision: for this machine, and for AArch64 under qemu-user; and what the compiler made
 * of them. What a machine lacks skips by name; with XCORR_REQUIRE=aarch64 (as in CI) it fails instead.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { missing } from "./support/tools.js";

const script = fileURLToPath(new URL("../native/test/run.sh", import.meta.url));
const MISSING = 77;

for (const target of ["native", "aarch64"]) {
  it(`kernels agree with naive loops: ${target}`, (context) => {
    const { status, stdout, stderr } = spawnSync("bash", [script, target], { encoding: "utf8" });
    if (status === MISSING) return missing(context, target, stdout.trim());
    expect(`${stdout}${stderr}`).toContain("all kernels agree");
    expect(status).toBe(0);
  }, 300_000);
}

it("no hot loop keeps vectors on the stack", (context) => {
  const script = fileURLToPath(new URL("../native/test/spills.js", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: "utf8" });
  if (status === MISSING) return missing(context, "objdump", stdout.trim());
  expect(`${stdout}${stderr}`).not.toContain("SPILLS");
  expect(status).toBe(0);
});

it("a library that only a worker loads outlives the worker, since its threads do", () => {
  const script = fileURLToPath(new URL("support/workers.mjs", import.meta.url));
  const { status, signal, stdout } = spawnSync(process.execPath, [script], { encoding: "utf8" });
  expect({ status, signal, stdout }).toEqual({ status: 0, signal: null, stdout: "alive\n" });
}, 60_000);
