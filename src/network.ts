/**
 * Network: a model, compiled. Takes named tensors, gives named tensors. Plans are made for each set of input shapes when it is first
 * seen, or by load if the model allows no other, and a few are kept.
 */
import type { Plan, Program, StepProfile, StepReport } from "./core/backend.js";
import {
  DisposedError,
  expected,
  OptionError,
  ShapeError,
  show,
  showShape,
  TensorError,
} from "./core/errors.js";
import type { NetworkOptions } from "./core/networkOptions.js";
import { checkOptions, nearest } from "./core/options.js";
import { sameShape, sizeOf } from "./core/shape.js";
import { checkData, Tensor } from "./core/tensor.js";
import type { Graph, GraphSource, ValueInfo } from "./graph/graph.js";
import { oneImageOf, prefersImages } from "./graph/images.js";
import { optimize } from "./graph/passes/index.js";
import { makePlan } from "./graph/plan.js";
import { printSteps } from "./graph/print.js";

/** Tensors by name. */
export type Feeds = Readonly<Record<string, Tensor>>;

export interface RunOptions {
  /** Rejects the run with the signal's reason; a running one stops at the next step. */
  readonly signal?: AbortSignal;
  /** Names of the tensors wanted, any of the graph; default: the model's outputs. */
  readonly outputs?: readonly string[];
}

/** explain()'s answer: one report per step; prints as a table. */
export interface Explanation extends Iterable<StepReport> {
  readonly steps: readonly StepReport[];
  readonly backend: string;
  readonly isa: string;
  /** Memory for everything between inputs and outputs; of a batch that goes by images each thread needs as much. */
  readonly arenaBytes: number;
  toString(): string;
}

const RUN_OPTIONS = ["signal", "outputs"];
const RUN_SYNC_OPTIONS = ["outputs"];

/** Plans kept per network; a service sees few shapes, and each plan holds packed weights. */
const MAX_PLANS = 8;

/** Numbers in all inputs of a plan that is made before anybody has such inputs; what a hostile file asks for is not taken on its word. */
const MOST_PREPARED = 2 ** 26;

interface Loaded {
  /** What it was made for. */
  readonly shapes: readonly (readonly number[])[];
  readonly wanted: readonly string[] | undefined;
  /** Data that the plan holds for: input index -> tensor. */
  readonly baked: ReadonlyMap<number, Tensor>;
  readonly program: Program;
  readonly outputs: readonly string[];
  readonly arenaBytes: number;
}

export class Network {
  /** What run takes. A size that is a string is free; equal strings mean equal sizes. */
  readonly inputs: readonly ValueInfo[];
  /** What run gives. */
  readonly outputs: readonly ValueInfo[];
  private readonly inputNames: ReadonlySet<string>;
  /** Some sizes of inputs have names. */
  private readonly hasSymbols: boolean;
  private readonly source: GraphSource;
  private readonly options: NetworkOptions;
  /** Most recently used last. */
  private plans: Loaded[] = [];
  private disposed = false;

  constructor(source: GraphSource, options: NetworkOptions) {
    this.source = source;
    this.options = options;
    this.inputs = source.inputs;
    this.inputNames = new Set(source.inputs.map(({ name }) => name));
    this.hasSymbols = source.inputs.some(({ shape }) => shape.some(isSymbol));
    this.outputs = source.outputs;
  }

  /** "native" or "reference". */
  get backend(): string {
    return this.options.backend.name;
  }

  /** Instruction set in use; "none" on the reference. */
  get isa(): string {
    return this.options.backend.isa;
  }

  /**
   * Runs the network off the event loop. The inputs are copied before this returns, so they may be changed at once.
   * (The first run with new shapes also makes a plan, on the calling thread; call explain() first to have it ready. load() has made that of a model
   * that fixes its sizes.)
   *
   * @throws {ShapeError | TensorError | OptionError} if the feeds do not fit the inputs
   * @throws {DisposedError} after dispose()
   */
  async run(feeds: Feeds, options?: RunOptions): Promise<Record<string, Tensor>> {
    checkOptions("network.run", options, RUN_OPTIONS);
    options?.signal?.throwIfAborted();
    const inputs = this.checkFeeds("network.run", feeds);
    const loaded = this.prepare(inputs, options?.outputs);
    const results = loaded.program.runAsync(inputs, options?.signal);
    return named(loaded.outputs, Array.isArray(results) ? results : await results);
  }

  /** Like run, on the calling thread: for scripts, and for networks of less than a few milliseconds. */
  runSync(feeds: Feeds, options?: Pick<RunOptions, "outputs">): Record<string, Tensor> {
    checkOptions("network.runSync", options, RUN_SYNC_OPTIONS);
    const inputs = this.checkFeeds("network.runSync", feeds);
    const loaded = this.prepare(inputs, options?.outputs);
    return named(loaded.outputs, loaded.program.run(inputs));
  }

  /** How the network runs for such inputs: per step op, shapes, algorithm and why not the ones before it, bytes, multiply-adds. */
  explain(feeds: Feeds): Explanation {
    const loaded = this.prepare(this.checkFeeds("network.explain", feeds), undefined);
    const steps = loaded.program.steps();
    const { backend } = this.options;
    return {
      steps,
      backend: backend.name,
      isa: backend.isa,
      arenaBytes: loaded.arenaBytes,
      [Symbol.iterator]: () => steps[Symbol.iterator](),
      toString: () => printSteps(steps),
    };
  }

  /** The graph for such inputs as the model has it, before any pass: what analyses walk. Made anew for each call. */
  graph(feeds: Feeds): Graph {
    return this.source.build(this.checkFeeds("network.graph", feeds)).graph;
  }

  /** One run with the time of each step. A step whose op is "reorder" only changes the layout. */
  async profile(feeds: Feeds): Promise<{ outputs: Record<string, Tensor>; steps: StepProfile[] }> {
    const inputs = this.checkFeeds("network.profile", feeds);
    const loaded = this.prepare(inputs, undefined);
    const { outputs, steps } = await loaded.program.profile(inputs);
    return { outputs: named(loaded.outputs, outputs), steps };
  }

  /** Frees what the network holds; runs in flight end normally. Safe to call twice. */
  dispose(): void {
    this.disposed = true;
    for (const { program } of this.plans) program.dispose();
    this.plans = [];
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  private checkFeeds(where: string, feeds: Feeds): Tensor[] {
    if (this.disposed)
      throw new DisposedError(
        `${where}: expected a network in use, got one after dispose(); load it again`,
      );
    if (feeds === null || typeof feeds !== "object" || feeds instanceof Tensor) {
      throw new TensorError(
        expected(
          where,
          `{ ${this.inputs.map(({ name }) => JSON.stringify(name)).join(", ")}: tensor }`,
          show(feeds),
        ),
      );
    }
    for (const name of Object.keys(feeds)) {
      if (this.inputNames.has(name)) continue;
      const names = [...this.inputNames];
      const near = nearest(name, names);
      throw new OptionError(
        `${where}: unknown input "${name}"; ${near ? `did you mean "${near}"?` : `the inputs are ${names.map((n) => `"${n}"`).join(", ")}`}`,
      );
    }
    const inputs = this.inputs.map((info) => {
      const tensor = feeds[info.name];
      checkFeed(where, info, tensor);
      return tensor;
    });
    if (this.hasSymbols) checkSymbols(where, this.inputs, inputs);
    return inputs;
  }

  /** The program for these inputs and outputs: one that was made before, or a new one. */
  private prepare(inputs: readonly Tensor[], wanted: readonly string[] | undefined): Loaded {
    if (
      wanted !== undefined &&
      (!Array.isArray(wanted) ||
        wanted.length === 0 ||
        wanted.some((name) => typeof name !== "string"))
    ) {
      throw new OptionError(expected("network", 'names of tensors for "outputs"', show(wanted)));
    }
    for (let k = this.plans.length - 1; k >= 0; k--) {
      const found = this.plans[k];
      if (!fits(found, inputs, wanted)) continue;
      if (k < this.plans.length - 1) {
        this.plans.splice(k, 1);
        this.plans.push(found);
      }
      return found;
    }
    const loaded = this.planOf(this.source.build(inputs), inputs, wanted);
    this.plans.push(loaded);
    if (this.plans.length > MAX_PLANS) this.plans.shift()?.program.dispose();
    return loaded;
  }

  /**
   * Makes the plan of a model that fixes the sizes of all its inputs, before anybody runs it; unless the plan would hold for some data only.
   *
   * @internal
   */
  prepareFixed(): void {
    let elements = 0;
    for (const { shape } of this.inputs) {
      if (!shape.every((n) => typeof n === "number")) return;
      elements += sizeOf(shape as number[]);
    }
    if (elements > MOST_PREPARED) return;
    const inputs = this.inputs.map(({ shape, dtype }) => Tensor.zeros(shape as number[], dtype));
    const built = this.source.build(inputs);
    if (built.baked.length === 0) this.plans.push(this.planOf(built, inputs, undefined));
  }

  private planOf(
    { graph, baked }: ReturnType<GraphSource["build"]>,
    inputs: readonly Tensor[],
    wanted: readonly string[] | undefined,
  ): Loaded {
    if (wanted) {
      const values = graph.values();
      graph.outputs = wanted.map((name) => {
        const value =
          graph.outputs.find((output) => output.name === name)?.value ??
          values.get(name) ??
          graph.aliases.get(name);
        if (value) return { name, value };
        const near = nearest(name, [...values.keys()]);
        throw new OptionError(
          expected(
            "network",
            "the name of a tensor of the graph",
            show(name),
            near && `did you mean "${near}"?`,
          ),
        );
      });
    }
    return {
      shapes: inputs.map((t) => t.shape),
      wanted: wanted && [...wanted],
      baked: new Map(baked.map((i) => [i, inputs[i].clone()])),
      outputs: graph.outputs.map(({ name }) => name),
      ...((baked.length === 0 && this.loadByImage(graph)) || this.loadWhole(graph)),
    };
  }

  private loadWhole(graph: Graph): LoadedPlan {
    const plan = this.optimized(graph);
    return { program: this.options.backend.load(plan, this.options), arenaBytes: plan.arenaBytes };
  }

  /**
   * A batch goes by images where that is possible and likely to be faster; whatever the number of threads, so that results do not depend on it: images and layers
   * may lead to other algorithms.
   */
  private loadByImage(graph: Graph): LoadedPlan | undefined {
    const { backend, optimize: optimizes } = this.options;
    if (optimizes === false || !backend.loadBatch) return;
    const one = oneImageOf(graph);
    if (!one || !prefersImages(one.graph)) return;
    const plan = this.optimized(one.graph);
    const program = backend.loadBatch(plan, one.images, this.options);
    return program && { program, arenaBytes: plan.arenaBytes };
  }

  private optimized(graph: Graph): Plan {
    if (this.options.optimize !== false) optimize(graph, this.options.backend.target);
    return makePlan(graph);
  }
}

type LoadedPlan = Pick<Loaded, "program" | "arenaBytes">;

function checkFeed(
  where: string,
  info: ValueInfo,
  tensor: Tensor | undefined,
): asserts tensor is Tensor {
  if (!(tensor instanceof Tensor)) {
    throw new TensorError(
      expected(
        where,
        `a ${info.dtype} tensor ${formOf(info)} for input "${info.name}"`,
        tensor === undefined ? "none" : show(tensor),
      ),
    );
  }
  if (tensor.dtype !== info.dtype) {
    throw new TensorError(
      expected(where, `dtype ${info.dtype} for input "${info.name}"`, tensor.dtype),
    );
  }
  if (!ofForm(tensor.shape, info.shape)) {
    throw new ShapeError(
      expected(where, `shape ${formOf(info)} for input "${info.name}"`, showShape(tensor.shape)),
    );
  }
  checkData(where, tensor, info.name);
}

/** A size that the inputs tie to others by its name; "?" is one that the model leaves without a name. */
const isSymbol = (size: number | string): boolean => typeof size === "string" && size !== "?";

/** Equal names mean equal sizes. */
function checkSymbols(where: string, infos: readonly ValueInfo[], inputs: readonly Tensor[]): void {
  const bound = new Map<number | string, { size: number; input: string }>();
  infos.forEach(({ name, shape }, i) => {
    shape.forEach((symbol, axis) => {
      if (!isSymbol(symbol)) return;
      const size = inputs[i].shape[axis];
      const first = bound.get(symbol);
      if (first && first.size !== size) {
        throw new ShapeError(
          expected(
            where,
            `${symbol} = ${first.size} in input "${name}" as in "${first.input}"`,
            `${size}`,
          ),
        );
      }
      bound.set(symbol, { size, input: name });
    });
  });
}

const formOf = ({ shape }: ValueInfo): string => `(${shape.join(", ")})`;

function ofForm(shape: readonly number[], form: ValueInfo["shape"]): boolean {
  if (shape.length !== form.length) return false;
  for (let a = 0; a < shape.length; a++)
    if (typeof form[a] === "number" && form[a] !== shape[a]) return false;
  return true;
}

/** Whether a plan was made for such inputs (whose dtypes the model fixes) and outputs. */
function fits(
  { shapes, wanted, baked }: Loaded,
  inputs: readonly Tensor[],
  outputs: readonly string[] | undefined,
): boolean {
  for (let i = 0; i < inputs.length; i++) if (!sameShape(inputs[i].shape, shapes[i])) return false;
  return (
    (wanted === outputs ||
      (wanted !== undefined &&
        outputs !== undefined &&
        wanted.length === outputs.length &&
        wanted.every((name, k) => name === outputs[k]))) &&
    (baked.size === 0 || holdsFor(baked, inputs))
  );
}

function holdsFor(baked: ReadonlyMap<number, Tensor>, inputs: readonly Tensor[]): boolean {
  for (const [i, tensor] of baked) {
    const { data } = inputs[i];
    for (let k = 0; k < data.length; k++) if (!Object.is(data[k], tensor.data[k])) return false;
  }
  return true;
}

function named(names: readonly string[], tensors: readonly Tensor[]): Record<string, Tensor> {
  const result: Record<string, Tensor> = {};
  for (let k = 0; k < names.length; k++) {
    // The one name that an assignment takes for something else.
    if (names[k] === "__proto__")
      return Object.fromEntries(names.map((name, i) => [name, tensors[i]]));
    result[names[k]] = tensors[k];
  }
  return result;
}
