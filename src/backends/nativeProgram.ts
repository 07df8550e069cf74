/**
 * A plan on the addon's kernels: the steps that have one in as few calls as there can be, the others by their references in between; on the calling thread or
 * off it, or, asynchronous but short, at once.
 */
import type { LoadOptions, Plan, Program, StepProfile, StepReport } from "../core/backend.js";
import { DTYPES, type DType, type TypedArray } from "../core/dtype.js";
import { DisposedError } from "../core/errors.js";
import type { TensorType } from "../core/op.js";
import { frozenShape, type Shape, sizeOf } from "../core/shape.js";
import { storedIn } from "../core/stored.js";
import { Tensor } from "../core/tensor.js";
import {
  type Arena,
  loadAddon,
  type NativeProgram,
  type NativeStepInfo,
  type NativeValue,
} from "./addon.js";
import { describeStep, runStep } from "./reference.js";

/** A constant for the addon, which packs it from where it is stored. */
function toNativeConstant(constant: Tensor): Pick<NativeValue, "constant" | "factors"> {
  const stored = storedIn(constant);
  if (!stored) return { constant: constant.data };
  const { bytes, factors } = stored;
  return { constant: bytes.place() ?? bytes.read(), factors };
}

/** Arenas kept for later runs; more would hold the memory of a burst for ever. */
const MAX_IDLE_ARENAS = 4;

/** Milliseconds that runs done at once may take one after another without the event loop turning. */
const MOST_WITHOUT_TURN = 1;
let withoutTurn = 0;

/** Whether it is time, after a run at once that took so long. */
function mustTurn(milliseconds: number): boolean {
  withoutTurn += milliseconds;
  return withoutTurn > MOST_WITHOUT_TURN;
}

/** A run at once that took longer may have been the last for now. */
const LONG_AT_ONCE = 0.2;

/** Lets the event loop turn. */
async function turn(): Promise<void> {
  withoutTurn = 0;
  await new Promise(setImmediate);
}

async function afterTurn(results: Tensor[], signal?: AbortSignal): Promise<Tensor[]> {
  await turn();
  signal?.throwIfAborted();
  return results;
}

/** Bytes from which on a result is worth memory that nobody has cleared: that may be of pages which the process has had before. */
const LARGE_RESULT = 1 << 20;

/** For a run that writes every element. */
function emptyResult(dtype: DType, size: number): TypedArray {
  const { bytes, array, view } = DTYPES[dtype];
  if (size * bytes < LARGE_RESULT) return new array(size);
  return view(Buffer.allocUnsafeSlow(size * bytes).buffer, 0, size);
}

/** The type of as many images. */
const ofAll = ({ dtype, shape }: TensorType, images: number): TensorType => ({
  dtype,
  shape: images === 1 ? shape : [images, ...shape.slice(1)],
});

/** A run of steps that all have kernels, or one step that has none. */
interface Segment {
  readonly first: number;
  readonly last: number;
  readonly native: boolean;
}

export class NativePlanProgram implements Program {
  private readonly program: NativeProgram;
  private readonly infos: readonly NativeStepInfo[];
  private readonly segments: readonly Segment[];
  /** All steps have kernels: a run is one call. */
  readonly whole: boolean;
  /** Outputs that the run makes: neither constants nor inputs. */
  private readonly made: readonly number[];
  /** All outputs are of these, in order. */
  readonly allMade: boolean;
  private readonly sizes: readonly number[];
  private readonly shapes: readonly Shape[];
  /** What the addon said last: runs are short, and one that is asynchronous may be done at once. */
  private atOnce = false;
  /** Some outputs are inputs. */
  private readonly passes: boolean;
  /** Arenas of runs that are over, for the next ones. */
  private readonly idle: Arena[] = [];
  private disposed = false;
  /** Runs in flight: native memory is freed when the last ends. */
  private running = 0;

  constructor(
    private readonly plan: Plan,
    private readonly isa: string,
    { threads, winograd = true, tune = false }: LoadOptions,
    /** Inputs and results are of so many images, the plan is for one. */
    private readonly images = 1,
  ) {
    const addon = loadAddon();
    this.made = plan.outputs.filter(
      (value, k) =>
        !plan.values[value].constant &&
        !plan.inputs.includes(value) &&
        plan.outputs.indexOf(value) === k,
    );
    this.allMade = this.made.length === plan.outputs.length;
    this.shapes = this.made.map((value) =>
      frozenShape("program", ofAll(plan.values[value].type, images).shape),
    );
    this.sizes = this.shapes.map(sizeOf);
    this.passes = plan.outputs.some((value) => plan.inputs.includes(value));
    this.program = new addon.Program(
      {
        images,
        arenaBytes: plan.arenaBytes,
        inputs: plan.inputs,
        results: this.made,
        values: plan.values.map(({ type, layout, offset, constant }) => ({
          ...type,
          layout,
          offset: Math.max(offset, 0),
          ...(constant && toNativeConstant(constant)),
        })),
        steps: plan.steps.map(({ op, attrs, inputs, outputs, inPlace }) => ({
          op: op.name,
          attrs,
          inputs,
          outputs,
          inPlace,
        })),
      },
      isa,
      threads,
      winograd,
      tune,
    );
    this.infos = this.program.steps();
    this.segments = segmentsOf(this.infos);
    this.whole = this.segments.length === 1;
  }

  run(inputs: readonly Tensor[]): Tensor[] {
    const made = this.emptyResults();
    if (this.whole) {
      this.runWhole(made, inputs);
      return this.results(made, inputs);
    }
    const arena = this.begin(inputs);
    try {
      for (const { first, last, native } of this.segments) {
        const results = last === this.plan.steps.length ? made : undefined;
        if (native) this.program.run(arena, first, last, results);
        else this.runReference(arena, first);
      }
      return this.results(made, inputs);
    } finally {
      this.end(arena);
    }
  }

  runAsync(inputs: readonly Tensor[], signal?: AbortSignal): Tensor[] | Promise<Tensor[]> {
    if (!this.atOnce) return this.runSegments(inputs, signal);
    const made = this.emptyResults();
    const took = this.runWhole(made, inputs);
    if (took > LONG_AT_ONCE) this.atOnce = this.program.atOnce();
    const results = this.results(made, inputs);
    return mustTurn(took) ? afterTurn(results, signal) : results;
  }

  async profile(inputs: readonly Tensor[]): Promise<{ outputs: Tensor[]; steps: StepProfile[] }> {
    const times = new Array<number>(this.plan.steps.length).fill(0);
    const outputs = await this.runSegments(inputs, undefined, times);
    return { outputs, steps: this.steps().map((step, s) => ({ ...step, ms: times[s] })) };
  }

  steps(): StepReport[] {
    return this.plan.steps.map((_, s) => {
      const { algorithm, declined } = this.infos[s];
      const one = describeStep(this.plan, s);
      return {
        ...one,
        // Constants serve all images.
        inputs: one.inputs.map((type, i) =>
          this.plan.values[this.plan.steps[s].inputs[i]].constant ? type : ofAll(type, this.images),
        ),
        outputs: one.outputs.map((type) => ofAll(type, this.images)),
        macs: one.macs * this.images,
        bytes: one.bytes * this.images,
        algorithm: algorithm ?? "reference",
        declined,
        isa: algorithm === undefined ? "reference" : this.isa,
      };
    });
  }

  dispose(): void {
    this.disposed = true;
    for (const arena of this.idle.splice(0)) this.program.close(arena);
    if (this.running === 0) this.program.dispose();
  }

  /** A run off the calling thread, or at once if it is short; `times` takes its steps' milliseconds. */
  private async runSegments(
    inputs: readonly Tensor[],
    signal?: AbortSignal,
    times?: number[],
  ): Promise<Tensor[]> {
    const arena = this.begin(inputs);
    // Outputs that are inputs themselves must be taken before the caller may change them.
    const taken = this.passes ? inputs.map((t) => t.clone()) : inputs;
    const given = this.whole ? inputs.map((t) => t.data) : undefined;
    const cancel = () => this.program.cancel(arena);
    signal?.addEventListener("abort", cancel);
    try {
      let made: TypedArray[] = [];
      for (const { first, last, native } of this.segments) {
        if (native) {
          const finish = last === this.plan.steps.length;
          const timed = times !== undefined;
          const before = performance.now();
          const running = this.program.runAsync(arena, first, last, finish, given, timed);
          const ran = running instanceof Promise ? await running : running;
          if (running === ran && mustTurn(performance.now() - before)) await turn();
          if (ran && finish) made = ran.map((buffer, k) => this.viewOf(k, buffer));
          if (times)
            times.splice(first, last - first, ...this.program.times(arena).slice(first, last));
        } else {
          const before = performance.now();
          this.runReference(arena, first);
          if (times) times[first] = performance.now() - before;
        }
        signal?.throwIfAborted();
      }
      return this.results(made, taken);
    } finally {
      signal?.removeEventListener("abort", cancel);
      this.atOnce = !this.disposed && this.whole && this.program.atOnce();
      this.end(arena);
    }
  }

  /** All steps in one call; the milliseconds that it took. */
  private runWhole(made: readonly TypedArray[], inputs: readonly Tensor[]): number {
    const arena = this.begin(inputs);
    try {
      // V8 calls by a list of arguments take 0.1 us more.
      if (made.length === 1 && inputs.length === 1)
        return this.program.runWhole(arena, made[0], inputs[0].data);
      return this.program.runWhole(arena, ...made, ...inputs.map((t) => t.data));
    } finally {
      this.end(arena);
    }
  }

  /** An arena for a run, with the inputs' elements; those of a run in one call are given to that: copied, they would be read twice. */
  private begin(inputs: readonly Tensor[]): Arena {
    if (this.disposed)
      throw new DisposedError(
        "program: expected one in use, got one after dispose(); load it again",
      );
    const arena = this.idle.pop() ?? this.program.open();
    if (!this.whole) {
      try {
        this.program.begin(
          arena,
          inputs.map((t) => t.data),
        );
      } catch (error) {
        this.program.close(arena);
        throw error;
      }
    }
    this.running++;
    return arena;
  }

  private end(arena: Arena): void {
    if (!this.disposed && this.idle.length < MAX_IDLE_ARENAS) this.idle.push(arena);
    else this.program.close(arena);
    if (--this.running === 0 && this.disposed) this.program.dispose();
  }

  private runReference(arena: Arena, step: number): void {
    const { inputs, outputs } = this.plan.steps[step];
    const results = runStep(
      this.plan,
      step,
      inputs.map((value) => this.value(arena, value)),
    );
    outputs.forEach((value, k) => {
      this.program.write(arena, value, results[k].data);
    });
  }

  /** A value as a tensor: the constant itself, or a copy out of the arena. */
  private value(arena: Arena, index: number): Tensor {
    const { type, constant } = this.plan.values[index];
    if (constant) return constant;
    const data = new DTYPES[type.dtype].array(sizeOf(type.shape));
    const tensor = new Tensor(data, type.shape, type.dtype);
    this.program.read(arena, index, tensor.data);
    return tensor;
  }

  private emptyResults(): TypedArray[] {
    return this.made.map((value, k) =>
      emptyResult(this.plan.values[value].type.dtype, this.sizes[k]),
    );
  }

  private viewOf(k: number, buffer: ArrayBuffer): TypedArray {
    const { dtype } = this.plan.values[this.made[k]].type;
    return DTYPES[dtype].view(buffer, 0, this.sizes[k]);
  }

  /** What the run made, k-th. */
  private tensorOf(k: number, data: TypedArray): Tensor {
    return new Tensor(data, this.shapes[k], this.plan.values[this.made[k]].type.dtype);
  }

  /** The outputs in order, from what the run made. */
  private results(made: readonly TypedArray[], inputs: readonly Tensor[]): Tensor[] {
    if (this.allMade) return made.map((data, k) => this.tensorOf(k, data));
    return this.plan.outputs.map((index, k) => {
      const input = this.plan.inputs.indexOf(index);
      if (input >= 0) return inputs[input].clone();
      const { constant } = this.plan.values[index];
      if (constant) return constant.clone();
      const place = this.made.indexOf(index);
      const tensor = this.tensorOf(place, made[place]);
      // The same value under two names: each its own.
      return this.plan.outputs.indexOf(index) === k ? tensor : tensor.clone();
    });
  }
}

function segmentsOf(infos: readonly NativeStepInfo[]): Segment[] {
  const segments: Segment[] = [];
  let first = 0;
  infos.forEach(({ algorithm }, s) => {
    if (algorithm !== undefined) return;
    if (first < s) segments.push({ first, last: s, native: true });
    segments.push({ first: s, last: s + 1, native: false });
    first = s + 1;
  });
  // The last one gives the results, even if it has no steps.
  segments.push({ first, last: infos.length, native: true });
  return segments;
}
