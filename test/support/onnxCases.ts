/** ONNX's own backend tests: an archive of model.onnx, input_*.pb and output_*.pb per test, and a list with a tier for each. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { Tensor } from "../../src/core/tensor.js";
import { decodeTensor } from "../../src/onnx/messages.js";
import { toTensor } from "../../src/onnx/tensors.js";

const folder = new URL("../data/onnx/", import.meta.url);

export interface OnnxCase {
  readonly name: string;
  readonly operator: string;
  readonly tier: "core" | "extra";
  /** "ok", or why onnxruntime's answer cannot be compared with the stored one. */
  readonly check: string;
  readonly model: Uint8Array;
  readonly sets: readonly {
    readonly inputs: readonly Tensor[];
    readonly outputs: readonly Tensor[];
  }[];
}

/** Files of a tar archive by path. Names of over 100 bytes come in a pax header. */
function untar(bytes: Uint8Array): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const text = (from: number, length: number) =>
    new TextDecoder().decode(bytes.subarray(from, from + length)).replace(/\0.*$/s, "");
  let longName: string | undefined;
  for (let at = 0; at + 512 <= bytes.length && bytes[at] !== 0; ) {
    const size = Number.parseInt(text(at + 124, 12), 8);
    const type = text(at + 156, 1);
    const prefix = text(at + 345, 155);
    const body = bytes.subarray(at + 512, at + 512 + size);
    if (type === "x") longName = /\d+ path=([^\n]*)\n/.exec(new TextDecoder().decode(body))?.[1];
    else if (type === "L") longName = new TextDecoder().decode(body).replace(/\0.*$/s, "");
    else {
      if (type === "0" || type === "")
        files.set(longName ?? (prefix ? `${prefix}/` : "") + text(at, 100), body);
      longName = undefined;
    }
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

/** Every listed case, in the list's order. */
export function onnxCases(): OnnxCase[] {
  const files = untar(gunzipSync(readFileSync(new URL("onnx-node-tests.tar.gz", folder))));
  const list = readFileSync(new URL("onnx-node-tests.txt", folder), "utf8");
  const rows = list.split("\n").filter((line) => line && !line.startsWith("#"));
  return rows.map((row) => {
    const [group, test, operator, tier, , , check] = row.split("\t");
    const path = `${group}/${test}`;
    const tensors = (set: number, kind: string) => {
      const found: Tensor[] = [];
      for (let i = 0; ; i++) {
        const bytes = files.get(`${path}/test_data_set_${set}/${kind}_${i}.pb`);
        if (!bytes) return found;
        found.push(toTensor(decodeTensor(bytes), `${kind} ${i}`));
      }
    };
    const sets = [];
    for (let set = 0; files.has(`${path}/test_data_set_${set}/output_0.pb`); set++) {
      sets.push({ inputs: tensors(set, "input"), outputs: tensors(set, "output") });
    }
    return {
      name: path,
      operator,
      tier: tier as OnnxCase["tier"],
      check,
      model: files.get(`${path}/model.onnx`) as Uint8Array,
      sets,
    };
  });
}
