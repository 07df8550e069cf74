/**
 * Lets an op do to its result what the next node would do to it in a pass of its own: fuseAdd, fuseActivation, fuseAffine and fuseScale.
 *
 *   x -> conv2d -> add(residual) -> relu      becomes      x, residual -> conv2d(residual: true, activation: relu)
 *
 * Only when nothing else reads the result in between, and the op has an epilogue that can (OpDef.epilogue). The fused node stands where
 * the later of the two stood, so the residual is there already.
 */
import type { Activation } from "../../core/op.js";
import { sameShape } from "../../core/shape.js";
import { numbersOf, readNumber } from "../../core/tensor.js";
import { type MatmulAttrs, matmulOp } from "../../ops/linear.js";
import type { Graph, Node, Value } from "../graph.js";

/** The node that makes a value which `reader` alone reads. */
function soleProducer(graph: Graph, value: Value): Node | undefined {
  const { producer } = value;
  return producer?.outputs.length === 1 && graph.isReadOnce(value) ? producer : undefined;
}

export const fuseAdd = {
  name: "fuseAdd",
  apply(graph: Graph): number {
    let changes = 0;
    for (const node of [...graph.nodes]) {
      if (
        node.op.name !== "add" ||
        !sameShape(node.inputs[0].type.shape, node.inputs[1].type.shape)
      )
        continue;
      // The operand that was made last: the other is then certainly there before it.
      const [first, second] = node.inputs;
      for (const [result, residual] of [
        [second, first],
        [first, second],
      ]) {
        const product = soleProducer(graph, result);
        if (
          result === residual ||
          product?.op.epilogue !== "residual" ||
          result.type.dtype !== "float32" ||
          "residual" in product.attrs ||
          "activation" in product.attrs
        )
          continue;
        graph.replace(node, product.op, [...product.inputs, residual], {
          ...product.attrs,
          ...node.attrs,
          residual: true,
        });
        graph.remove(product);
        changes++;
        break;
      }
    }
    return changes;
  },
};

/**
 * The activation that a node is. A prelu is one by constant slopes: with one for all it is leakyRelu, with one for each channel conv2d takes it.
 */
function activationOf({ op, attrs, inputs }: Node): Activation | undefined {
  if (op.name !== "prelu") return op.activation?.(attrs);
  const [{ producer, type }, { constant }] = inputs;
  if (constant?.dtype !== "float32" || constant.rank > type.shape.length) return undefined;
  const slopes = numbersOf(constant);
  if (slopes.length === 1) return { kind: "leakyRelu", alpha: slopes[0] };
  // (C, 1, 1), perhaps with more ones before it.
  const fits = constant.shape.at(-3) === slopes.length && type.shape[1] === slopes.length;
  return producer?.op.name === "conv2d" && fits
    ? { kind: "prelu", slopes: Array.from(slopes) }
    : undefined;
}

export const fuseActivation = {
  name: "fuseActivation",
  apply(graph: Graph): number {
    let changes = 0;
    for (const node of [...graph.nodes]) {
      const activation = activationOf(node);
      if (!activation) continue;
      const product = soleProducer(graph, node.inputs[0]);
      if (
        !product?.op.epilogue ||
        "activation" in product.attrs ||
        product.outputs[0].type.dtype !== "float32"
      )
        continue;
      graph.replace(node, product.op, product.inputs, { ...product.attrs, activation });
      graph.remove(product);
      changes++;
    }
    return changes;
  },
};

/** The one number of a node that is one of these ops, and its other operand; what is divided is no such number. */
function numberOf(
  { op, inputs }: Node,
  ops: readonly string[],
): { number: number; other: Value } | undefined {
  if (!ops.includes(op.name)) return undefined;
  const at = inputs.findIndex(({ constant }) => constant?.size === 1);
  if (op.name === "div" && at === 0) return undefined;
  const constant = inputs[at]?.constant;
  return constant && { number: readNumber(constant, 0), other: inputs[1 - at] };
}

/**
 * A matmul's result times a number, or divided by one, as attention scales its scores:
 *
 *   matmul -> mul(s)      becomes      matmul(alpha: s)
 */
export const fuseScale = {
  name: "fuseScale",
  apply(graph: Graph): number {
    let changes = 0;
    for (const node of [...graph.nodes]) {
      const found = numberOf(node, ["mul", "div"]);
      if (!found || Object.keys(node.attrs).length > 0) continue;
      const { number, other } = found;
      const product = soleProducer(graph, other);
      if (product?.op.name !== matmulOp.name || other.type.dtype !== "float32") continue;
      if (!sameShape(other.type.shape, node.outputs[0].type.shape)) continue;
      const { alpha: before = 1 } = product.attrs as MatmulAttrs;
      const alpha = node.op.name === "mul" ? before * number : before / number;
      if (!Number.isFinite(Math.fround(alpha))) continue;
      graph.replace(node, product.op, product.inputs, { alpha });
      graph.remove(product);
      changes++;
    }
    return changes;
  },
};

/**
 * An activation's result times a number, plus a number:
 *
 *   conv2d(activation) -> mul(s) -> add(t)      becomes      conv2d(activation, scale s, shift t)
 *
 * (In front of an activation such numbers go into the weights: foldBatchNorm.)
 */
export const fuseAffine = {
  name: "fuseAffine",
  apply(graph: Graph): number {
    let changes = 0;
    for (const node of [...graph.nodes]) {
      const found = numberOf(node, ["mul", "add"]);
      if (!found || Object.keys(node.attrs).length > 0) continue;
      const { number, other } = found;
      const product = soleProducer(graph, other);
      const activation = (product?.attrs as { activation?: Activation } | undefined)?.activation;
      if (!product || !activation || !Number.isFinite(number)) continue;
      if (!sameShape(other.type.shape, node.outputs[0].type.shape)) continue;
      const { scale = 1, shift = 0 } = activation;
      const next =
        node.op.name === "mul"
          ? { scale: scale * number, shift: shift * number }
          : { scale, shift: shift + number };
      graph.replace(node, product.op, product.inputs, {
        ...product.attrs,
        activation: { ...activation, ...next },
      });
      graph.remove(product);
      changes++;
    }
    return changes;
  },
};
