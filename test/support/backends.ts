/** The backends to test: the reference, and native once for each instruction set of this machine. Those it lacks are named, and skipped. */
import { loadAddon } from "../../src/backends/addon.js";
import { nativeBackend } from "../../src/backends/native.js";
import { referenceBackend } from "../../src/backends/reference.js";
import type { Backend } from "../../src/core/backend.js";

const ISAS: Readonly<Record<string, readonly string[]>> = {
  x64: ["avx512", "avx2", "sse2", "scalar"],
  arm64: ["neon", "scalar"],
};

/** Instruction sets of this architecture, and whether this machine has them. */
export function nativeIsas(): { isa: string; available: boolean }[] {
  const have = loadAddon().isas;
  return (ISAS[process.arch] ?? ["scalar"]).map((isa) => ({ isa, available: have.includes(isa) }));
}

export const native = (isa?: string, threads?: number): Backend => nativeBackend({ isa, threads });

export { referenceBackend };
