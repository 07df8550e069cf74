/**
 * Which backend runs: what the caller asks for, else what the environment says, else native, else (with one warning) the reference.
 *
 *   XCORR_BACKEND = native | reference      XCORR_ISA = scalar | sse2 | avx2 | avx512 | neon      XCORR_THREADS = n
 */
import type { Backend } from "../core/backend.js";
import { type BackendRequest, currentBackend, provideBackend } from "../core/dispatch.js";
import { AddonError, expected, OptionError, show } from "../core/errors.js";
import { readChoice, readInt } from "../core/options.js";
import { loadAddon } from "./addon.js";
import { nativeBackend } from "./native.js";
import { referenceBackend } from "./reference.js";

const BACKENDS = ["native", "reference"] as const;
const ISAS = ["scalar", "sse2", "avx2", "avx512", "neon"] as const;

let warned = false;

/** An environment variable's value; empty counts as unset. */
const fromEnvironment = (name: string): string | undefined => process.env[name] || undefined;

function chooseBackend(request: BackendRequest): Backend {
  const envBackend = fromEnvironment("XCORR_BACKEND");
  if (envBackend !== undefined) readChoice("environment", "XCORR_BACKEND", envBackend, BACKENDS);
  if (request.backend !== undefined) readChoice("backend", "backend", request.backend, BACKENDS);
  const wanted = request.backend ?? envBackend;
  const isa = chooseIsa(request.isa);
  if (wanted === "reference") return referenceBackend;
  try {
    return nativeBackend({ isa, threads: defaultThreads() });
  } catch (error) {
    if (wanted === "native" || isa !== undefined || !(error instanceof AddonError)) throw error;
    if (!warned) {
      warned = true;
      process.emitWarning(
        `${error.message}\nRunning on the reference backend, which is hundreds of times slower.`,
        {
          type: "XcorrWarning",
          code: "XCORR_FALLBACK",
        },
      );
    }
    return referenceBackend;
  }
}

function chooseIsa(requested: string | undefined): string | undefined {
  if (requested !== undefined) return readChoice("backend", "isa", requested, ISAS);
  const isa = fromEnvironment("XCORR_ISA");
  return isa === undefined ? undefined : readChoice("environment", "XCORR_ISA", isa, ISAS);
}

/** XCORR_THREADS, or undefined: the CPUs that this process may use. */
export function defaultThreads(): number | undefined {
  const text = fromEnvironment("XCORR_THREADS");
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text))
    throw new OptionError(
      expected("environment", 'an integer from 1 to 256 for "XCORR_THREADS"', show(text)),
    );
  return readInt("environment", "XCORR_THREADS", Number(text), 1, 256);
}

provideBackend(chooseBackend);

/** What runs, and what could. */
export const backend = {
  /** "native" or "reference". */
  get name(): string {
    return currentBackend().name;
  },
  /** Instruction set in use: "avx2", ...; "none" on the reference. */
  get isa(): string {
    return currentBackend().isa;
  },
  /** Everything that can run here, best first: "native:avx512", ..., "reference". */
  available(): string[] {
    try {
      return [...loadAddon().isas.map((isa) => `native:${isa}`), "reference"];
    } catch (error) {
      if (error instanceof AddonError) return ["reference"];
      throw error;
    }
  },
};
