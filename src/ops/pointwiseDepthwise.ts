/**
 * pointwiseDepthwise: a 1x1 convolution and the depthwise convolution that alone reads it, for a kernel that never writes the image between them whole.
 *
 *   x, weight, bias, weight, bias -> conv2d(pointwise) -> conv2d(depthwise)
 *
 * Only a pass makes it (graph/passes/joinDepthwise.ts); there is no function of that name.
 */
import type { OpDef, TensorType } from "../core/op.js";
import { Tensor } from "../core/tensor.js";
import { type Conv2dAttrs, conv2dOp, convWindow } from "./conv2d.js";
import { checkCount } from "./shared.js";

export interface PointwiseDepthwiseAttrs {
  readonly pointwise: Conv2dAttrs;
  readonly depthwise: Conv2dAttrs;
}

/** The image between the two. */
function between(inputs: readonly TensorType[], attrs: PointwiseDepthwiseAttrs): TensorType {
  return conv2dOp.infer(inputs.slice(0, 3), attrs.pointwise)[0];
}

export const pointwiseDepthwiseOp: OpDef<PointwiseDepthwiseAttrs> = {
  name: "pointwiseDepthwise",

  infer(inputs, attrs) {
    checkCount("pointwiseDepthwise", inputs, 5, 5);
    return conv2dOp.infer([between(inputs, attrs), ...inputs.slice(3)], attrs.depthwise);
  },

  reference(inputs, attrs, outputs) {
    const { shape } = between(inputs, attrs);
    const middle = Tensor.zeros(shape);
    conv2dOp.reference(inputs.slice(0, 3), attrs.pointwise, [middle]);
    conv2dOp.reference([middle, ...inputs.slice(3)], attrs.depthwise, outputs);
  },

  window: (inputs, attrs) =>
    convWindow([between(inputs, attrs), ...inputs.slice(3)], attrs.depthwise),
  parameters: () => [1, 2, 3, 4],
  macs: (inputs, attrs) =>
    (conv2dOp.macs?.(inputs.slice(0, 3), attrs.pointwise) ?? 0) +
    (conv2dOp.macs?.([between(inputs, attrs), ...inputs.slice(3)], attrs.depthwise) ?? 0),
  layout: () => "prefers",
};
