/**
 * OpDef: what an operation is. One file per op (or small family) in src/ops holds its definition; everything else in the
 * library is a way to run it: at once, recorded, or compiled.
 */
import type { DType } from "./dtype.js";
import type { Shape } from "./shape.js";
import type { Tensor } from "./tensor.js";
import type { Window } from "./window.js";

/** What is known of a tensor before its data: element type and shape. */
export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}

/**
 * An activation that an op with `epilogue` applies to each result before it stores it. Means the unary op of that name.
 * relu6 is `{ kind: "clip", min: 0, max: 6 }`; prelu has a slope for each channel, and is for conv2d.
 */
export type Activation = ActivationKind & {
  /** What the activation gives is multiplied by `scale` (default 1), and `shift` (default 0) is added. */
  readonly scale?: number;
  readonly shift?: number;
};

type ActivationKind =
  | { readonly kind: "relu" | "sigmoid" | "hardSwish" | "tanh" | "softplus" | "mish" }
  | { readonly kind: "clip"; readonly min: number; readonly max: number }
  | { readonly kind: "leakyRelu" | "elu" | "silu"; readonly alpha: number }
  | { readonly kind: "hardSigmoid"; readonly alpha: number; readonly beta: number }
  | { readonly kind: "prelu"; readonly slopes: readonly number[] }
  | { readonly kind: "gelu"; readonly approximate: "none" | "tanh" };

/**
 * How an op takes the blocked layout (NCHW8c; see docs/architecture.md):
 *
 * - "prefers": its kernel is written for blocked images; worth converting an input for.
 * - "follows": runs as well in one layout as in the other, all its images in the same one.
 * - "either": the same, and where ops that prefer blocks come behind, it makes blocks for them.
 * - "plain":   needs row-major tensors.
 */
export type LayoutRule = "prefers" | "follows" | "either" | "plain";

/** What a gradient is worked out from: what was run, and how the loss changes with each output. */
export interface GradientRequest<Attrs extends object = object> {
  readonly inputs: readonly Tensor[];
  readonly attrs: Attrs;
  readonly outputs: readonly Tensor[];
  /** One per output, of its type; zeros for outputs that the loss does not depend on. */
  readonly outputGradients: readonly Tensor[];
  /** Per input: its gradient is wanted. */
  readonly needs: readonly boolean[];
}

/**
 * Along one spatial axis: the first and the last place of an input that an output place is made of, and the step between those places (default 1); not
 * clipped to the input, first > last where it is made of none. "whole": of every place, or in a way that has no places.
 */
export type Sight =
  | "whole"
  | ((at: number) => readonly [first: number, last: number, step?: number]);

/** How an op's inputs and outputs can be the same memory: parts one after the other in a whole. See OpDef.placement. */
export interface Placement {
  /** The side with the whole, one value; all values of the other side are parts of it. */
  readonly whole: "input" | "output";
  /** The axis of the whole along which the parts lie, and where each begins; they are whole along all other axes. */
  readonly axis: number;
  readonly starts: readonly number[];
  /** The whole is longer than its parts, and zero there; the step still runs, to write that. */
  readonly zerosFollow?: boolean;
}

/** One operation: what it accepts, what it means, what shared code may know about it. Attrs are plain data (docs/ops.md). */
export interface OpDef<Attrs extends object = object> {
  readonly name: string;
  /** Output types for these inputs, or a ShapeError or TensorError. The only place where this op's rules are worded. */
  infer(inputs: readonly TensorType[], attrs: Attrs): TensorType[];
  /** The meaning, in plain loops, written to be read. Fills `outputs`, whose types infer gave. */
  reference(inputs: readonly Tensor[], attrs: Attrs, outputs: readonly Tensor[]): void;
  /** Spatial window, for receptive field, padding folding and cost. Absent: one input pixel per output pixel. */
  window?(inputs: readonly TensorType[], attrs: Attrs): Window;
  /**
   * What outputs see of an input, along spatial axis 0, 1, ... (axis 2, 3, ... of (N, C, ...)). Absent: what `window` says, the same place if
   * elementwise, else "whole".
   */
  sight?(inputs: readonly TensorType[], attrs: Attrs, axis: number, input: number): Sight;
  /** Multiply-adds, for benches and explain(). */
  macs?(inputs: readonly TensorType[], attrs: Attrs): number;
  /**
   * Gradients with respect to the inputs, undefined where there is none (integers) or none is needed; absent on ops that cannot be trained
   * through. Runs ops itself, unrecorded.
   */
  gradient?(step: GradientRequest<Attrs>): (Tensor | undefined)[];
  /** Inputs that are weights, not data: they stay plain whatever the layout of the rest. */
  parameters?(inputs: readonly TensorType[], attrs: Attrs): readonly number[];
  /** Default "plain". */
  layout?(inputs: readonly TensorType[], attrs: Attrs): LayoutRule;
  /** Where its inputs lie in its output, or its outputs in its input, if it changes nothing in them; a plan then need not copy them. */
  placement?(inputs: readonly TensorType[], attrs: Attrs): Placement | undefined;
  /**
   * The attributes for one image of a batch, if image n of every output is made of image n of the inputs alone; else undefined. Images lie along axis 0, and
   * `ofBatch` says which inputs have one for each; the others serve all. Absent: as an elementwise op has it, or never.
   */
  byImage?(
    inputs: readonly TensorType[],
    attrs: Attrs,
    ofBatch: readonly boolean[],
  ): Attrs | undefined;
  /** One output element per input element at the same place (after broadcasting). */
  readonly elementwise?: boolean;
  /** The activation that this op with these attributes is, so that it can be fused into the op before it. */
  activation?(attrs: Attrs): Activation | undefined;
  /** What this op can do to its result before storing it: attribute `activation`, and for "residual" also a last input that is added first. */
  readonly epilogue?: "activation" | "residual";
  /** Attribute `padding` pads with zeros, so that a zero pad in front of it can be folded in. */
  readonly padsWithZeros?: boolean;
}
