/** Reads the .npy files of the stored cases. */
import { readFileSync } from "node:fs";
import { parseNpy } from "../../src/cli/npy.js";
import type { Tensor } from "../../src/core/tensor.js";

export const readNpy = (path: string): Tensor => parseNpy(readFileSync(path));
