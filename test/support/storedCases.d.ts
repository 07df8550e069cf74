import type { TypedArray } from "../../src/core/dtype.js";
import type { ModelProto, TensorProto } from "../../src/onnx/messages.js";

export interface StoredTensor {
  readonly file: string;
  readonly dims: number[];
  readonly transform?: { mean: number[]; std: number[]; layout: string };
}

export interface StoredCase {
  readonly id: string;
  readonly model: string;
  readonly inputs: Readonly<Record<string, StoredTensor>>;
  readonly outputs: Readonly<Record<string, StoredTensor>>;
  readonly rtol: number;
  readonly atol: number;
}

export const folder: string;
export const cases: readonly StoredCase[];
export function pathOf(model: string): string | undefined;
export function isHashed(model: string): boolean;
export function inputElements(stored: TypedArray, form: StoredTensor): TypedArray;
export function fillHashed(model: ModelProto, dimsOf: (shape: TensorProto) => number[]): void;
