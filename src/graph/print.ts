/** Text forms: of a graph for logs and tests, of a plan's steps for explain(). */
import type { StepProfile, StepReport } from "../core/backend.js";
import { showShape } from "../core/errors.js";
import type { Graph, Value } from "./graph.js";

const showValue = (value: Value): string =>
  `${value.name}: ${value.type.dtype}${showShape(value.type.shape)}${value.layout === "blocked" ? " blocked" : ""}${value.constant ? " constant" : ""}`;

/** A number for each channel is too much to read. */
const abridged = (_: string, value: unknown): unknown =>
  Array.isArray(value) && value.length > 16 ? `${value.length} numbers` : value;

/** One line per input, node and output. */
export function printGraph(graph: Graph): string {
  return [
    ...graph.inputs.map((value) => `input  ${showValue(value)}`),
    ...graph.nodes.map(
      (node) =>
        `${node.op.name}(${node.inputs.map((v) => v.name).join(", ")}) ${JSON.stringify(node.attrs, abridged)} -> ${node.outputs.map(showValue).join(", ")}`,
    ),
    ...graph.outputs.map(({ name, value }) => `output ${name} = ${value.name}`),
  ].join("\n");
}

/** Rows of text in columns that line up: the first left, numbers right. */
export function alignColumns(rows: readonly (readonly string[])[], rightFrom: number): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const cell = (text: string, column: number) =>
    column >= rightFrom ? text.padStart(widths[column]) : text.padEnd(widths[column]);
  return rows.map((row) => row.map(cell).join("  ").trimEnd()).join("\n");
}

/** A table of steps: what, how, on which shapes, at what cost; with times where they were measured. */
export function printSteps(steps: readonly (StepReport | StepProfile)[]): string {
  const timed = steps.some((step) => "ms" in step);
  const rows = steps.map((step) => [
    step.name,
    step.op,
    step.algorithm,
    step.outputs.map(({ shape }) => showShape(shape)).join(" "),
    `${(step.macs / 1e6).toFixed(2)}`,
    `${Math.round(step.bytes / 1024)}`,
    ...(timed ? ["ms" in step ? step.ms.toFixed(3) : ""] : []),
  ]);
  return alignColumns(
    [["step", "op", "algorithm", "output", "MMAC", "KiB", ...(timed ? ["ms"] : [])], ...rows],
    4,
  );
}
