/** What `load` and `compile` may be asked for, alike: how a network runs. */
import type { Backend } from "./backend.js";
import { type BackendRequest, resolveBackend } from "./dispatch.js";
import { checkOptions, readBoolean, readChoice, readInt } from "./options.js";

export interface NetworkRequest extends BackendRequest {
  /** Threads of one run; default: the CPUs that this process may use. */
  readonly threads?: number;
  /** false runs the graph as it stands; default true. */
  readonly optimize?: boolean;
  /**
   * "off": convolutions sum every product as it stands, at half the speed or less and half the rounding error, which then depends on the numbers of a
   * window alone. Default "auto": Winograd's and Strassen's methods need fewer products, of sums over neighbouring pixels.
   */
  readonly winograd?: "auto" | "off";
  /**
   * true: the algorithm of each convolution is found by trying those that may be the fastest, which takes some milliseconds a layer when a plan is made.
   * Two processes may then choose differently, and differ in the last bits of their results. Default false: by expectation, always the same.
   */
  readonly tune?: boolean;
}

/** The same, read. */
export interface NetworkOptions {
  readonly backend: Backend;
  readonly threads?: number;
  readonly optimize?: boolean;
  readonly winograd?: boolean;
  readonly tune?: boolean;
}

const KNOWN = ["backend", "isa", "threads", "optimize", "winograd", "tune"];

/** @throws {OptionError | AddonError} if the request cannot be met; `where` is who was asked, and knows `more` options */
export function readNetworkRequest(
  where: string,
  request: NetworkRequest,
  more: readonly string[] = [],
): NetworkOptions {
  checkOptions(where, request, [...KNOWN, ...more]);
  const { backend, isa, threads, optimize = true, winograd = "auto", tune = false } = request;
  return {
    threads: threads === undefined ? undefined : readInt(where, "threads", threads, 1, 256),
    optimize: readBoolean(where, "optimize", optimize),
    winograd: readChoice(where, "winograd", winograd, ["auto", "off"]) === "auto",
    tune: readBoolean(where, "tune", tune),
    backend: resolveBackend({ backend, isa }),
  };
}
