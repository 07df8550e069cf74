/**
 * The native backend: ops and plans on the addon's kernels. What the addon declines (an op, a dtype or an option without a kernel) runs
 * by the op's reference, between the native steps around it, and explain() says so.
 */
import type {
  Backend,
  LoadOptions,
  Plan,
  Program,
  StepProfile,
  StepReport,
} from "../core/backend.js";
import { DTYPES, type TypedArray } from "../core/dtype.js";
import { DisposedError, expected, OptionError } from "../core/errors.js";
import type { OpDef, TensorType } from "../core/op.js";
import { sizeOf } from "../core/shape.js";
import { storedIn } from "../core/stored.js";
import { Tensor } from "../core/tensor.js";
import {
  type Arena,
  loadAddon,
  type NativeProgram,
  type NativeStepInfo,
  type NativeTensor,
  type NativeValue,
} from "./addon.js";
import { describeStep, runStep } from "./reference.js";

export interface NativeOptions {
  /** Instruction set; default: the best that the machine has. */
  readonly isa?: string;
  readonly threads?: number;
}

/**
 * @throws {AddonError} if no binary loads
 * @throws {OptionError} if the machine does not have the instruction set
 */
export function nativeBackend(options: NativeOptions = {}): Backend {
  const addon = loadAddon();
  const isa = options.isa ?? addon.isas[0];
  if (!addon.isas.includes(isa)) {
    throw new OptionError(
      expected(
        "native backend",
        `an instruction set that this machine has (${addon.isas.join(", ")})`,
        `"${isa}"`,
      ),
    );
  }
  return {
    name: "native",
    isa,
    target: { blocked: true },
    run(op: OpDef, inputs: readonly Tensor[], attrs: object, outputs: readonly Tensor[]): void {
      const declined = addon.ops.includes(op.name)
        ? addon.run(
            isa,
            options.threads,
            op.name,
            attrs,
            inputs.map(toNative),
            outputs.map(toNative),
          )
        : "no native kernel";
      if (declined !== undefined) op.reference(inputs, attrs, outputs);
    },
    load: (plan: Plan, load: LoadOptions = {}): Program =>
      new NativePlanProgram(plan, isa, { ...load, threads: load.threads ?? options.threads }),
  };
}

const toNative = ({ dtype, shape, data }: Tensor): NativeTensor => ({ dtype, shape, data });

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
let turned = 0;

/** Lets the event loop turn. */
async function turn(): Promise<void> {
  await new Promise(setImmediate);
  turned = performance.now();
}

/** A run of steps that all have kernels, or one step that has none. */
interface Segment {
  readonly first: number;
  readonly last: number;
  readonly native: boolean;
}

class NativePlanProgram implements Program {
  private readonly program: NativeProgram;
  private readonly infos: readonly NativeStepInfo[];
  private readonly segments: readonly Segment[];
  /** All steps have kernels: a run is one call. */
  private readonly whole: boolean;
  /** Outputs that the run makes: neither constants nor inputs. */
  private readonly made: readonly number[];
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
  ) {
    const addon = loadAddon();
    this.made = plan.outputs.filter(
      (value, k) =>
        !plan.values[value].constant &&
        !plan.inputs.includes(value) &&
        plan.outputs.indexOf(value) === k,
    );
    this.passes = plan.outputs.some((value) => plan.inputs.includes(value));
    this.program = new addon.Program(
      {
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
    const data = inputs.map((t) => t.data);
    const arena = this.begin(data);
    try {
      const made = this.made.map((value) => emptyOf(this.plan.values[value].type));
      for (const { first, last, native } of this.segments) {
        const results = last === this.plan.steps.length ? made : undefined;
        if (native) this.program.run(arena, first, last, results, this.whole ? data : undefined);
        else this.runReference(arena, first);
      }
      return this.results(made, inputs);
    } finally {
      this.end(arena);
    }
  }

  runAsync(inputs: readonly Tensor[], signal?: AbortSignal): Promise<Tensor[]> {
    return this.runSegments(inputs, signal);
  }

  async profile(inputs: readonly Tensor[]): Promise<{ outputs: Tensor[]; steps: StepProfile[] }> {
    const times = new Array<number>(this.plan.steps.length).fill(0);
    const outputs = await this.runSegments(inputs, undefined, times);
    return { outputs, steps: this.steps().map((step, s) => ({ ...step, ms: times[s] })) };
  }

  steps(): StepReport[] {
    return this.plan.steps.map((_, s) => {
      const { algorithm, declined } = this.infos[s];
      return {
        ...describeStep(this.plan, s),
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
    const data = inputs.map((t) => t.data);
    const arena = this.begin(data);
    // Outputs that are inputs themselves must be taken before the caller may change them.
    const taken = this.passes ? inputs.map((t) => t.clone()) : inputs;
    const given = this.whole ? data : undefined;
    const cancel = () => this.program.cancel(arena);
    signal?.addEventListener("abort", cancel);
    try {
      let made: TypedArray[] = [];
      for (const { first, last, native } of this.segments) {
        if (native) {
          const finish = last === this.plan.steps.length;
          const timed = times !== undefined;
          const running = this.program.runAsync(arena, first, last, finish, given, timed);
          const ran = running instanceof Promise ? await running : running;
          if (running === ran && performance.now() - turned > MOST_WITHOUT_TURN) await turn();
          if (ran && finish) made = ran.map((buffer, k) => this.viewOf(this.made[k], buffer));
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
      this.end(arena);
    }
  }

  /** An arena for a run, with the inputs' elements; those of a run in one call are given to that: copied, they would be read twice. */
  private begin(data: readonly TypedArray[]): Arena {
    if (this.disposed)
      throw new DisposedError(
        "program: expected one in use, got one after dispose(); load it again",
      );
    const arena = this.idle.pop() ?? this.program.open();
    try {
      if (!this.whole) this.program.begin(arena, data);
    } catch (error) {
      this.program.close(arena);
      throw error;
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
    const tensor = new Tensor(emptyOf(type), type.shape, type.dtype);
    this.program.read(arena, index, tensor.data);
    return tensor;
  }

  private viewOf(value: number, buffer: ArrayBuffer): TypedArray {
    const { dtype, shape } = this.plan.values[value].type;
    return DTYPES[dtype].view(buffer, 0, sizeOf(shape));
  }

  /** The outputs in order, from what the run made. */
  private results(made: readonly TypedArray[], inputs: readonly Tensor[]): Tensor[] {
    return this.plan.outputs.map((index, k) => {
      const input = this.plan.inputs.indexOf(index);
      if (input >= 0) return inputs[input].clone();
      const { type, constant } = this.plan.values[index];
      if (constant) return constant.clone();
      const tensor = new Tensor(made[this.made.indexOf(index)], type.shape, type.dtype);
      // The same value under two names: each its own.
      return this.plan.outputs.indexOf(index) === k ? tensor : tensor.clone();
    });
  }
}

const emptyOf = ({ dtype, shape }: TensorType): TypedArray =>
  new DTYPES[dtype].array(sizeOf(shape));

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
