/**
 * The native backend: ops and plans on the addon's kernels. What the addon declines (an op, a dtype or an option without a kernel) runs
 * by the op's reference, between the native steps around it, and explain() says so.
 */
import type { Backend, LoadOptions, Plan, Program } from "../core/backend.js";
import { expected, OptionError } from "../core/errors.js";
import type { OpDef } from "../core/op.js";
import type { Tensor } from "../core/tensor.js";
import { loadAddon, type NativeTensor } from "./addon.js";
import { NativePlanProgram } from "./nativeProgram.js";

export interface NativeOptions {
  /** Instruction set; default: the best that the machine has. */
  readonly isa?: string;
  readonly threads?: number;
}

/**
 * @throws {AddonError} if no binary loads
 * @throws {OptionError} if the machine does not have the instruction set
 */
export function nativeBackend(options: NativeOptions = {}): Backend {
  const addon = loadAddon();
  const isa = options.isa ?? addon.isas[0];
  if (!addon.isas.includes(isa)) {
    throw new OptionError(
      expected(
        "native backend",
        `an instruction set that this machine has (${addon.isas.join(", ")})`,
        `"${isa}"`,
      ),
    );
  }
  const programOf = (plan: Plan, load: LoadOptions = {}, images?: number) =>
    new NativePlanProgram(plan, isa, { ...load, threads: load.threads ?? options.threads }, images);
  return {
    name: "native",
    isa,
    target: { blocked: true },
    run(op: OpDef, inputs: readonly Tensor[], attrs: object, outputs: readonly Tensor[]): void {
      const declined = addon.ops.includes(op.name)
        ? addon.run(
            isa,
            options.threads,
            op.name,
            attrs,
            inputs.map(toNative),
            outputs.map(toNative),
          )
        : "no native kernel";
      if (declined !== undefined) op.reference(inputs, attrs, outputs);
    },
    load: (plan: Plan, load?: LoadOptions): Program => programOf(plan, load),
    loadBatch(plan: Plan, images: number, load?: LoadOptions): Program | undefined {
      const program = programOf(plan, load, images);
      if (program.whole && program.allMade) return program;
      program.dispose();
      return undefined;
    },
  };
}

const toNative = ({ dtype, shape, data }: Tensor): NativeTensor => ({ dtype, shape, data });
