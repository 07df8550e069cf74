/**
 * Backend, Plan, Program: the interface of a way to run. Types only, so that nothing here can depend on a backend.
 */
import type { OpDef, TensorType } from "./op.js";
import type { Tensor } from "./tensor.js";

/** "blocked" is NCHW8c, (N, ceil(C/8), H, W, 8) with zeros past C. The shape of a blocked value stays (N, C, H, W). */
export type Layout = "plain" | "blocked";

/** What passes may ask of the backend they compile for. */
export interface Target {
  /** Images run faster in the blocked layout. */
  readonly blocked: boolean;
}

/** One tensor of a plan. */
export interface PlanValue {
  /** Name in the model, for explain() and errors. */
  readonly name: string;
  readonly type: TensorType;
  readonly layout: Layout;
  /** Present: the value never changes. Its tensor is plain. */
  readonly constant?: Tensor;
  /** Byte offset in the arena; -1 for constants. Inputs and outputs have one too. A multiple of 64, unless it is part of another value. */
  readonly offset: number;
  /** Bytes held there: padding lanes of a blocked value included. */
  readonly bytes: number;
}

/** One node to run: the op, its attributes, indices into Plan.values. */
export interface PlanStep {
  readonly name: string;
  readonly op: OpDef;
  readonly attrs: object;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** Its outputs lie where its inputs are: to backends that keep values at their offsets it is done. */
  readonly inPlace: boolean;
}

/** A graph for one set of shapes, ordered, with memory assigned. Plain data. */
export interface Plan {
  readonly values: readonly PlanValue[];
  readonly steps: readonly PlanStep[];
  /** Indices of the inputs and outputs, in order. What a run takes and gives is plain whatever their layout. An output may be a constant or an input. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly arenaBytes: number;
}

/** What explain() says of one step. */
export interface StepReport {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly TensorType[];
  readonly outputs: readonly TensorType[];
  /** Names of the tensors that it reads (constants left out) and makes. */
  readonly reads: readonly string[];
  readonly makes: readonly string[];
  /** Numbers in its constants. */
  readonly parameters: number;
  readonly algorithm: string;
  /** Why the algorithms before it did not take the problem; "" if it is the first. */
  readonly declined: string;
  /** "avx2", ... or "reference". */
  readonly isa: string;
  readonly macs: number;
  /** Bytes read and written, constants included. */
  readonly bytes: number;
}

/** explain()'s report of one step with the time it took in one run. */
export interface StepProfile extends StepReport {
  readonly ms: number;
}

/** A plan, loaded: constants packed, ready to run any number of times, also at once. */
export interface Program {
  /** On the calling thread. Inputs as Plan.inputs says, types checked by the caller; outputs are new tensors. */
  run(inputs: readonly Tensor[]): Tensor[];
  /** Off the event loop; or at once, if that is no slower. Inputs may be changed or detached as soon as this returns. Rejects with signal.reason when aborted. */
  runAsync(inputs: readonly Tensor[], signal?: AbortSignal): Tensor[] | Promise<Tensor[]>;
  /** One timed run, step by step, off the event loop. */
  profile(inputs: readonly Tensor[]): Promise<{ outputs: Tensor[]; steps: StepProfile[] }>;
  steps(): StepReport[];
  /** Frees native memory as soon as no run is in flight. Safe to call twice; a run after it throws DisposedError. */
  dispose(): void;
}

export interface LoadOptions {
  /** Threads of one run; default: the CPUs that this process may use. */
  readonly threads?: number;
  /** false: neither Winograd's nor Strassen's sums, every product is summed as it stands. Default true. */
  readonly winograd?: boolean;
  /** true: where a step has several algorithms, the fastest is found by trying them. Default false. */
  readonly tune?: boolean;
}

/** A way to run ops. */
export interface Backend {
  readonly name: "reference" | "native";
  /** Instruction set in use: "avx2", ...; "none" for the reference. */
  readonly isa: string;
  readonly target: Target;
  /** Runs one op now, on the calling thread; fills `outputs`. */
  run(op: OpDef, inputs: readonly Tensor[], attrs: object, outputs: readonly Tensor[]): void;
  load(plan: Plan, options?: LoadOptions): Program;
  /**
   * A program that takes batches of so many images, each of which goes by itself through the plan, one for a single image; undefined if the backend cannot run
   * that. Its reports are of whole batches.
   */
  loadBatch?(plan: Plan, images: number, options?: LoadOptions): Program | undefined;
}
