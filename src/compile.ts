/** compile: layers, or any function of tensors, as a Network. */
import { expected, OptionError, show } from "./core/errors.js";
import { noGrad } from "./core/gradMode.js";
import { type NetworkRequest, readNetworkRequest } from "./core/networkOptions.js";
import { Tensor } from "./core/tensor.js";
import type { GraphSource } from "./graph/graph.js";
import { trace } from "./graph/trace.js";
import { Network } from "./network.js";

export type CompileOptions = NetworkRequest;

/** Anything with a forward, or a function. */
export type Model =
  | { forward(...inputs: Tensor[]): Tensor | readonly Tensor[] }
  | ((...inputs: Tensor[]) => Tensor | readonly Tensor[]);

/** A module's modes, as nn.Module has them: a network is compiled for use, not for learning. */
interface HasModes {
  modules(): Iterable<{ training: boolean }>;
}

function inUse<T>(model: object, body: () => T): T {
  if (typeof (model as Partial<HasModes>).modules !== "function") return body();
  const modes = [...(model as HasModes).modules()].map((module) => ({
    module,
    was: module.training,
  }));
  for (const { module } of modes) module.training = false;
  try {
    return body();
  } finally {
    for (const { module, was } of modes) module.training = was;
  }
}

/**
 * Compiles a model: traces it on the example, optimises the graph, packs the weights.
 *
 * A module is compiled as eval() would have it. Weights are taken as they are now: compile again after changing them. The inputs are called "input" (or "input0", "input1", ...), the outputs
 * "output" (or "output0", ...); inputs of other sizes than the example's are traced anew when they first come.
 *
 * @param model    a layer (nn.Module), or a synchronous function of tensors
 * @param example  an input, or an array of them: types and numbers of axes are fixed by it
 * @throws {ShapeError} from the model, if the example does not fit it
 */
export function compile(
  model: Model,
  example: Tensor | readonly Tensor[],
  options: CompileOptions = {},
): Network {
  const asked = readNetworkRequest("compile", options);
  const examples = example instanceof Tensor ? [example] : example;
  if (
    !Array.isArray(examples) ||
    examples.length === 0 ||
    !examples.every((t) => t instanceof Tensor)
  ) {
    throw new OptionError(
      expected("compile", "an example tensor or an array of them", show(example)),
    );
  }
  const body =
    typeof model === "function"
      ? model
      : typeof model?.forward === "function"
        ? (...x: Tensor[]) => inUse(model, () => model.forward(...x))
        : undefined;
  if (!body) throw new OptionError(expected("compile", "a layer or a function", show(model)));
  const names = examples.map((_, i) => (examples.length === 1 ? "input" : `input${i}`));
  const graphFor = (inputs: readonly Tensor[]) =>
    noGrad(() =>
      trace(
        body,
        inputs.map((tensor, i) => ({ name: names[i], tensor })),
      ),
    );
  // Traced once now, so that a model that does not fit its example fails here.
  const first = graphFor(examples);
  const source: GraphSource = {
    inputs: examples.map(({ dtype, shape }, i) => ({
      name: names[i],
      dtype,
      shape: shape.map(() => "?"),
    })),
    outputs: first.outputs.map(({ name, value }) => ({
      name,
      dtype: value.type.dtype,
      shape: value.type.shape.map(() => "?"),
    })),
    // The trace may look at the data, so it runs on copies that nobody changes meanwhile.
    build: (inputs) => ({ graph: graphFor(inputs.map((t) => t.clone())), baked: [] }),
  };
  return new Network(source, asked);
}
