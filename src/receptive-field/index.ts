/** xcorr/receptive-field: what every unit of a network sees of its input image. */
import "../backends/choose.js";
import type { Model } from "../compile.js";
import { expected, ShapeError, showShape } from "../core/errors.js";
import { checkOptions } from "../core/options.js";
import type { Network } from "../network.js";
import { ReceptiveField } from "./analysis.js";
import { feedsFor, networkOf, type ReceptiveFieldOptions } from "./inputs.js";

export { type AxisField, type Box, type LayerField, ReceptiveField } from "./analysis.js";
export {
  type EffectiveField,
  type EffectiveOptions,
  effectiveReceptiveField,
} from "./effective.js";
export type { ReceptiveFieldOptions } from "./inputs.js";

/**
 * Works out what the units of every layer see of the input image.
 *
 * @param model  a layer (nn.Module) or function of tensors, or a Network from load() or compile()
 * @throws {ShapeError} if the first input is no image (N, C, H, W) or (N, C, L)
 * @throws {OptionError} for unknown names
 * @example receptiveField(net).layer("conv5").axes[0].size
 */
export function receptiveField(
  model: Model | Network,
  options: ReceptiveFieldOptions = {},
): ReceptiveField {
  checkOptions("receptiveField", options, ["input", "outputs"]);
  const network = networkOf(model, options.input);
  const graph = network.graph(feedsFor(network, options.input));
  const image = graph.inputs.find(({ type }) => type.shape.length > 2);
  if (!image) {
    const shapes = graph.inputs
      .map(({ name, type }) => `"${name}" ${showShape(type.shape)}`)
      .join(", ");
    throw new ShapeError(expected("receptiveField", "an image input (N, C, H, W)", shapes));
  }
  return new ReceptiveField(graph, image, options.outputs);
}
