/** What callers give to analyse: a model or a network, and an image or its shape. */
import { compile, type Model } from "../compile.js";
import { expected, OptionError, show } from "../core/errors.js";
import { Tensor } from "../core/tensor.js";
import { Network } from "../network.js";

export interface ReceptiveFieldOptions {
  /** The image, or its shape (N, C, H, W); must be given for a model, and for a network with free sizes. Or { name: shape } for several inputs. */
  readonly input?:
    | Tensor
    | readonly number[]
    | Readonly<Record<string, Tensor | readonly number[]>>;
  /** Layers to list, by the names of their tensors; default: all. */
  readonly outputs?: readonly string[];
}

const asTensor = (value: Tensor | readonly number[], dtype: Tensor["dtype"]): Tensor =>
  value instanceof Tensor ? value : Tensor.zeros(value, dtype);

/** Feeds for a network from what the caller gave; sizes that the model fixes need not be given. */
export function feedsFor(
  network: Network,
  input: ReceptiveFieldOptions["input"],
): Record<string, Tensor> {
  const single = input instanceof Tensor || Array.isArray(input);
  return Object.fromEntries(
    network.inputs.map(({ name, dtype, shape }, i) => {
      const given = single
        ? i === 0
          ? (input as Tensor | readonly number[])
          : undefined
        : (input as Record<string, Tensor>)?.[name];
      if (given !== undefined) return [name, asTensor(given, dtype)];
      if (shape.every((n) => typeof n === "number"))
        return [name, Tensor.zeros(shape as number[], dtype)];
      throw new OptionError(
        expected(
          "receptiveField",
          `a shape for input "${name}" (${shape.join(", ")})`,
          "none",
          "pass { input: [1, 3, 224, 224] }, say",
        ),
      );
    }),
  );
}

/** A network for what the caller gave: itself, or a model compiled (not loaded: nothing runs). */
export function networkOf(model: Model | Network, input: ReceptiveFieldOptions["input"]): Network {
  if (model instanceof Network) return model;
  if (!(input instanceof Tensor) && !Array.isArray(input))
    throw new OptionError(
      expected(
        "receptiveField",
        "the shape of the model's input",
        show(input),
        "pass { input: [1, 3, 224, 224] }, say",
      ),
    );
  return compile(model, asTensor(input as Tensor | readonly number[], "float32"), {
    backend: "reference",
  });
}
