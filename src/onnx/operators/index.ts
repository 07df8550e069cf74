/** The ONNX operators that we have, by name. To add one: a row in its family's file. */
import type { Converter } from "../context.js";
import { dataOperators } from "./data.js";
import { elementwise } from "./elementwise.js";
import { matrices } from "./matrices.js";
import { norms } from "./norms.js";
import { reductions } from "./reduce.js";
import { windows } from "./windows.js";

export const operators: Readonly<Record<string, Converter>> = {
  ...windows,
  ...matrices,
  ...norms,
  ...elementwise,
  ...dataOperators,
  ...reductions,
};
