/**
 * Chooses the layout of every image, for backends that run images faster in blocks of 8 channels (NCHW8c).
 *
 *   x -> conv2d -> maxPool2d -> conv2d -> flatten     becomes     x -> conv2d => maxPool2d => conv2d => reorder -> flatten
 *
 * (=> is blocked.) An op that "prefers" blocks makes blocks. An op that "follows" makes blocks if it reads any. One for which it is the same "either" way
 * prefers blocks if an op behind it does, perhaps after others that follow, and follows if not. All others read and make plain tensors. Where a reader's
 * layout is not the value's, a reorder stands between, one per value and layout. An input of the graph is blocked if an op that prefers blocks reads it, an
 * output if it is made so: what a run takes and gives is plain all the same, and goes into and comes out of blocks as it is copied. An image of at most 4 channels is not reordered for an op that prefers blocks: half of every block would be empty,
 * and such ops read a plain image as well. Nor is it made in blocks, if no such op reads it.
 */
import type { Layout, Target } from "../../core/backend.js";
import type { LayoutRule } from "../../core/op.js";
import { sizeOf } from "../../core/shape.js";
import { reorderOp } from "../../ops/data.js";
import { isImage } from "../../ops/shared.js";
import type { Graph, Node, Value } from "../graph.js";

const FEW_CHANNELS = 4;

type Decided = Exclude<LayoutRule, "either">;

const typesOf = (node: Node) => node.inputs.map((v) => v.type);

/** The rules of all nodes, from the last to the first: what comes behind a node decides for "either". */
function decideRules(graph: Graph): Map<Node, Decided> {
  const rules = new Map<Node, Decided>();
  const wanted = new Set<Node>();
  for (const node of [...graph.nodes].reverse()) {
    const rule = node.op.layout?.(typesOf(node), node.attrs) ?? "plain";
    const behind = node.outputs.some((v) => [...v.readers].some((reader) => wanted.has(reader)));
    if (rule === "prefers" || (rule !== "plain" && behind)) wanted.add(node);
    rules.set(node, rule !== "either" ? rule : behind ? "prefers" : "follows");
  }
  return rules;
}

/** A value that has blocks to be in: weights and single numbers have not. */
const hasBlocks = (value: Value): boolean => isImage(value.type) && sizeOf(value.type.shape) > 1;

/** Inputs that are data. */
function images(node: Node): number[] {
  const parameters = node.op.parameters?.(typesOf(node), node.attrs) ?? [];
  return node.inputs.flatMap((value, i) =>
    hasBlocks(value) && !parameters.includes(i) ? [i] : [],
  );
}

export const assignLayout = {
  name: "assignLayout",
  apply(graph: Graph, target: Target): number {
    if (!target.blocked) return 0;
    const rules = decideRules(graph);
    for (const node of graph.nodes) {
      if (rules.get(node) !== "prefers") continue;
      for (const i of images(node)) {
        const value = node.inputs[i];
        if (graph.inputs.includes(value) && value.type.shape[1] > FEW_CHANNELS)
          value.layout = "blocked";
      }
    }
    const staysPlain = (value: Value): boolean =>
      value.type.shape[1] <= FEW_CHANNELS &&
      ![...value.readers].some((reader) => rules.get(reader) === "prefers");
    for (const node of graph.nodes) {
      const rule = rules.get(node);
      const blocked =
        rule === "prefers" ||
        (rule === "follows" && images(node).some((i) => node.inputs[i].layout === "blocked"));
      if (rule === "follows" && !blocked) rules.set(node, "plain");
      if (!blocked) continue;
      for (const value of node.outputs)
        if (isImage(value.type) && !(rule === "prefers" && staysPlain(value)))
          value.layout = "blocked";
    }
    return insertReorders(graph, rules);
  },
};

function insertReorders(graph: Graph, rules: ReadonlyMap<Node, Decided>): number {
  const reordered = new Map<Value, Value>();
  let changes = 0;
  const inLayout = (value: Value, layout: Layout, before: Node): Value => {
    if (value.layout === layout) return value;
    const have = reordered.get(value);
    if (have) return have;
    const names = [`${value.name} (${layout})`];
    const [result] = graph.insertBefore(before, reorderOp, [value], { to: layout }, names);
    result.layout = layout;
    reordered.set(value, result);
    changes++;
    return result;
  };
  for (const node of [...graph.nodes]) {
    const rule = rules.get(node);
    const data = images(node);
    const inputs = node.inputs.map((value, i) => {
      if (rule === "plain" || rule === undefined || !data.includes(i))
        return inLayout(value, "plain", node);
      if (
        rule === "prefers" &&
        i === 0 &&
        value.layout === "plain" &&
        value.type.shape[1] <= FEW_CHANNELS
      )
        return value;
      return inLayout(value, "blocked", node);
    });
    graph.setInputs(node, inputs);
  }
  return changes;
}
