/**
 * The reference backend: every op by its own plain loops. It runs where no binary loads, and is the judge of the kernels.
 *
 * It keeps every value plain: a layout is how a value lies in memory, not what it holds, so here a reorder is a copy.
 */
import type { Backend, Plan, Program, StepProfile, StepReport } from "../core/backend.js";
import { DTYPES } from "../core/dtype.js";
import { DisposedError } from "../core/errors.js";
import type { OpDef } from "../core/op.js";
import { sizeOf } from "../core/shape.js";
import { Tensor } from "../core/tensor.js";

export const referenceBackend: Backend = {
  name: "reference",
  isa: "none",
  target: { blocked: false },
  run: (op: OpDef, inputs, attrs, outputs) => op.reference(inputs, attrs, outputs),
  load: (plan) => new ReferenceProgram(plan),
};

/** What every backend reports of a step before it adds how it runs it. */
export function describeStep(
  plan: Plan,
  index: number,
): Omit<StepReport, "algorithm" | "declined" | "isa"> {
  const step = plan.steps[index];
  const types = (places: readonly number[]) => places.map((i) => plan.values[i].type);
  const inputs = types(step.inputs);
  return {
    name: step.name,
    op: step.op.name,
    inputs,
    outputs: types(step.outputs),
    reads: step.inputs.filter((i) => !plan.values[i].constant).map((i) => plan.values[i].name),
    makes: step.outputs.map((i) => plan.values[i].name),
    parameters: step.inputs.reduce((sum, i) => sum + (plan.values[i].constant?.size ?? 0), 0),
    macs: step.op.macs?.(inputs, step.attrs) ?? 0,
    bytes: [...step.inputs, ...step.outputs].reduce((sum, i) => sum + plan.values[i].bytes, 0),
  };
}

/** Runs one step of a plan on tensors; gives the step's outputs. */
export function runStep(plan: Plan, index: number, inputs: readonly Tensor[]): Tensor[] {
  const { op, attrs, outputs } = plan.steps[index];
  const results = outputs.map((i) => {
    const { dtype, shape } = plan.values[i].type;
    return new Tensor(new DTYPES[dtype].array(sizeOf(shape)), shape, dtype);
  });
  op.reference(inputs, attrs, results);
  return results;
}

class ReferenceProgram implements Program {
  private disposed = false;
  /** Per step, the values that nobody reads after it: their memory may go. */
  private readonly dead: readonly number[][];

  constructor(private readonly plan: Plan) {
    const lastReader = new Map<number, number>();
    plan.steps.forEach((step, s) => {
      for (const i of [...step.inputs, ...step.outputs]) lastReader.set(i, s);
    });
    for (const i of plan.outputs) lastReader.delete(i);
    this.dead = plan.steps.map((_, s) =>
      [...lastReader].filter(([, last]) => last === s).map(([i]) => i),
    );
  }

  run(inputs: readonly Tensor[]): Tensor[] {
    const values = this.start(inputs);
    this.plan.steps.forEach((_, s) => {
      this.step(values, s);
    });
    return this.results(values);
  }

  async runAsync(inputs: readonly Tensor[], signal?: AbortSignal): Promise<Tensor[]> {
    const values = this.start(inputs.map((t) => t.clone()));
    for (let s = 0; s < this.plan.steps.length; s++) {
      // These loops cannot leave the event loop; between two steps they let others have it.
      await yieldToEventLoop();
      signal?.throwIfAborted();
      this.step(values, s);
    }
    return this.results(values);
  }

  async profile(inputs: readonly Tensor[]): Promise<{ outputs: Tensor[]; steps: StepProfile[] }> {
    const values = this.start(inputs);
    const reports = this.steps();
    const steps: StepProfile[] = [];
    for (let s = 0; s < this.plan.steps.length; s++) {
      await yieldToEventLoop();
      const before = performance.now();
      this.step(values, s);
      steps.push({ ...reports[s], ms: performance.now() - before });
    }
    return { outputs: this.results(values), steps };
  }

  steps(): StepReport[] {
    return this.plan.steps.map((_, s) => ({
      ...describeStep(this.plan, s),
      algorithm: "reference",
      declined: "",
      isa: "reference",
    }));
  }

  dispose(): void {
    this.disposed = true;
  }

  private start(inputs: readonly Tensor[]): Map<number, Tensor> {
    if (this.disposed)
      throw new DisposedError(
        "program: expected one in use, got one after dispose(); load it again",
      );
    const values = new Map<number, Tensor>();
    this.plan.values.forEach(({ constant }, i) => {
      if (constant) values.set(i, constant);
    });
    this.plan.inputs.forEach((i, k) => {
      values.set(i, inputs[k]);
    });
    return values;
  }

  private step(values: Map<number, Tensor>, s: number): void {
    const { inputs, outputs } = this.plan.steps[s];
    const results = runStep(
      this.plan,
      s,
      inputs.map((i) => values.get(i) as Tensor),
    );
    outputs.forEach((i, k) => {
      values.set(i, results[k]);
    });
    for (const i of this.dead[s]) values.delete(i);
  }

  /** The outputs, as tensors that share no memory with constants or inputs. */
  private results(values: Map<number, Tensor>): Tensor[] {
    const seen = new Set<number>();
    return this.plan.outputs.map((i) => {
      const value = values.get(i) as Tensor;
      const shared =
        seen.has(i) || this.plan.values[i].constant !== undefined || this.plan.inputs.includes(i);
      seen.add(i);
      return shared ? value.clone() : value;
    });
  }
}

const yieldToEventLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
