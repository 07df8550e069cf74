/**
 * Finds and loads the native binary, and says what it exports.
 *
 * Order: XCORR_BINARY (a path), a prebuilt binary of this platform beside the package, then a build from source.
 * Paths are literals, so that bundlers and file tracers see them.
 */
import { createRequire } from "node:module";
import type { TypedArray } from "../core/dtype.js";
import { AddonError } from "../core/errors.js";
import type { TensorType } from "../core/op.js";

/** A tensor as the addon takes it: memory borrowed for one call. */
export interface NativeTensor extends TensorType {
  readonly data: TypedArray;
}

export interface NativeValue extends TensorType {
  readonly layout: string;
  /** Bytes from the start of the arena; of no meaning for constants. */
  readonly offset: number;
  /** Of a constant: its elements, or their bytes, aligned or not; or the file that holds them. */
  readonly constant?: TypedArray | { readonly file: number; readonly offset: number };
  /** With n factors, each n-th of a constant's elements is multiplied by the next of them. */
  readonly factors?: Float64Array;
}

export interface NativePlan {
  /** Runs are given so many images, one after another, and give as many; everything else is of one. */
  readonly images: number;
  readonly values: readonly NativeValue[];
  readonly steps: readonly {
    op: string;
    attrs: object;
    inputs: readonly number[];
    outputs: readonly number[];
    inPlace: boolean;
  }[];
  /** Values that a run is given, and that it gives. None is a constant. */
  readonly inputs: readonly number[];
  readonly results: readonly number[];
  readonly arenaBytes: number;
}

/** What the addon made of a step: without an algorithm it has no kernel for it. */
export interface NativeStepInfo {
  readonly algorithm?: string;
  readonly declined: string;
}

/** The memory of one run, by its number. */
export type Arena = number;

/** A loaded plan. Methods take indices of Plan.values and ranges of Plan.steps. */
export interface NativeProgram {
  open(): Arena;
  close(arena: Arena): void;
  /** A run begins: the inputs' elements go into the arena. */
  begin(arena: Arena, inputs: readonly TypedArray[]): void;
  write(arena: Arena, value: number, data: TypedArray): void;
  read(arena: Arena, value: number, into: TypedArray): void;
  /** Steps first .. last - 1, then the results' elements into `results`, if there are any. */
  run(arena: Arena, first: number, last: number, results: readonly TypedArray[] | undefined): void;
  /** All steps in one call; first the results' arrays, then the inputs', which are read and written where they are. Gives the milliseconds it took. */
  runWhole(arena: Arena, ...resultsAndInputs: TypedArray[]): number;
  /** Whether an asynchronous run may as well be one of runWhole: those of late were over before they could have been handed over, and results are small. */
  atOnce(): boolean;
  /**
   * Off the calling thread, unless such runs have taken less than it takes to hand them over. The results' elements if `finish`; false if it was
   * cancelled.
   */
  runAsync(
    arena: Arena,
    first: number,
    last: number,
    finish: boolean,
    inputs: readonly TypedArray[] | undefined,
    timed: boolean,
  ): false | ArrayBuffer[] | Promise<false | ArrayBuffer[]>;
  /** Milliseconds per step of the arena's run, if it was timed. */
  times(arena: Arena): number[];
  cancel(arena: Arena): void;
  steps(): NativeStepInfo[];
  dispose(): void;
}

export interface Addon {
  /** Instruction sets that this machine can run, best first. */
  readonly isas: readonly string[];
  /** Names of the ops that have kernels. */
  readonly ops: readonly string[];
  /** CPUs that this process may use, at most 16. */
  readonly threads: number;
  /** Multiply-adds times two, in 10^9 a second, that one core can do with an instruction set: measured, some 20 ms. */
  peak(isa: string): number;
  /** Runs one op now; gives the reason if there is no kernel for it. */
  run(
    isa: string,
    threads: number | undefined,
    op: string,
    attrs: object,
    inputs: readonly NativeTensor[],
    outputs: readonly NativeTensor[],
  ): string | undefined;
  readonly Program: new (
    plan: NativePlan,
    isa: string,
    threads: number | undefined,
    winograd: boolean,
    tune: boolean,
  ) => NativeProgram;
}

const require = createRequire(import.meta.url);
let loaded: Addon | undefined;

/** Candidates in order: what it is, and how it is loaded. */
function candidates(): [string, () => Addon][] {
  const binary = process.env.XCORR_BINARY;
  if (binary) return [[binary, () => require(binary)]];
  const list: [string, () => Addon][] = [];
  switch (`${process.platform}-${process.arch}`) {
    // The binary for musl first: no process of glibc loads it, while musl loads some binaries of glibc.
    case "linux-x64":
      list.push(
        ["prebuilds/linuxmusl-x64.node", () => require("../../prebuilds/linuxmusl-x64.node")],
        ["prebuilds/linux-x64.node", () => require("../../prebuilds/linux-x64.node")],
      );
      break;
    case "linux-arm64":
      list.push(
        ["prebuilds/linuxmusl-arm64.node", () => require("../../prebuilds/linuxmusl-arm64.node")],
        ["prebuilds/linux-arm64.node", () => require("../../prebuilds/linux-arm64.node")],
      );
      break;
    case "darwin-arm64":
      list.push([
        "prebuilds/darwin-arm64.node",
        () => require("../../prebuilds/darwin-arm64.node"),
      ]);
      break;
    case "darwin-x64":
      list.push(["prebuilds/darwin-x64.node", () => require("../../prebuilds/darwin-x64.node")]);
      break;
    case "win32-x64":
      list.push(["prebuilds/win32-x64.node", () => require("../../prebuilds/win32-x64.node")]);
      break;
  }
  list.push([
    "a build from source (build/Release/xcorr.node)",
    () => require("../../build/Release/xcorr.node"),
  ]);
  return list;
}

/**
 * The addon. @throws {AddonError} that lists what was tried and what to do
 */
export function loadAddon(): Addon {
  if (loaded) return loaded;
  const tried: string[] = [];
  for (const [name, load] of candidates()) {
    try {
      loaded = load();
      return loaded;
    } catch (error) {
      tried.push(`${name}: ${(error as Error).message.split("\n")[0]}`);
    }
  }
  const platform = `${process.platform}-${process.arch}, Node ${process.version}`;
  throw new AddonError(
    [
      `native backend: expected a binary for ${platform}, got none that loads. Tried:`,
      ...tried.map((line) => `  - ${line}`),
      "What to do: in the package's folder run `npm run build:native` (needs Python and a C++17 compiler),",
      "or name a binary with XCORR_BINARY, or run without one with XCORR_BACKEND=reference.",
    ].join("\n"),
  );
}
