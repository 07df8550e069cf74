/** Results, gradients and optimisers against PyTorch's own, as stored in test/data/torch. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { functional as F, optim, Tensor } from "../../src/index.js";
import { expectClose, magnitude } from "../support/compare.js";

interface Numbers {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}
interface Case {
  readonly op: string;
  readonly options: Record<string, unknown>;
  readonly inputs: readonly Numbers[];
  readonly output: Numbers;
  readonly weights: Numbers;
  readonly gradients: readonly Numbers[];
}
const stored = JSON.parse(
  readFileSync(new URL("../data/torch/gradients.json", import.meta.url), "utf8"),
) as {
  cases: Case[];
  paths: { name: "SGD" | "Adam" | "AdamW"; options: Record<string, unknown>; path: number[][] }[];
};
const tensor = ({ shape, data }: Numbers): Tensor => new Tensor(Float32Array.from(data), shape);

function run({ op, options }: Case, [x, w, b]: readonly Tensor[]): Tensor {
  const { kernelSize, target, ...rest } = options;
  switch (op) {
    case "conv2d":
      return F.conv2d(x, w, { ...rest, bias: b });
    case "convTranspose2d":
      return F.convTranspose2d(x, w, rest);
    case "maxPool2d":
      return F.maxPool2d(x, kernelSize as number, rest);
    case "avgPool2d":
      return F.avgPool2d(x, kernelSize as number, rest);
    case "batchNorm":
      return F.batchNorm(x, Tensor.zeros([4]), Tensor.ones([4]), {
        weight: w,
        bias: b,
        training: true,
      });
    case "linear":
      return F.linear(x, w, b);
    case "crossEntropy":
      return F.crossEntropy(x, Tensor.from(target as number[], "int64"), rest);
    default:
      return (F as unknown as Record<string, (x: Tensor) => Tensor>)[op](x);
  }
}

describe("PyTorch's gradients", () => {
  it.each(
    stored.cases.map((c, i) => ({ ...c, title: `${i} ${c.op} ${JSON.stringify(c.options)}` })),
  )("$title", (c) => {
    const inputs = c.inputs.map(tensor);
    for (const t of inputs) t.requiresGrad = true;
    const y = run(c, inputs);
    const wanted = tensor(c.output);
    expectClose(y.detach(), wanted, { rtol: 1e-5, atol: 2e-6 }, magnitude(wanted));
    F.sum(F.mul(y, tensor(c.weights))).backward();
    for (const [i, t] of inputs.entries()) {
      const gradient = tensor(c.gradients[i]);
      expectClose(t.grad as Tensor, gradient, { rtol: 2e-5, atol: 5e-6 }, magnitude(gradient));
    }
  });
});

it.each(stored.paths)("PyTorch's $name $options", ({ name, options, path }) => {
  const p = Tensor.from([1, -0.5, 2]);
  p.requiresGrad = true;
  const { weight_decay: weightDecay, ...rest } = options;
  const given = {
    ...rest,
    ...(weightDecay === undefined ? {} : { weightDecay: weightDecay as number }),
  };
  const optimizer =
    name === "SGD"
      ? new optim.SGD([p], given)
      : name === "Adam"
        ? new optim.Adam([p], given)
        : new optim.AdamW([p], given);
  for (const wanted of path) {
    optimizer.zeroGrad();
    F.sum(F.mul(F.mul(p, p), Tensor.from([1, 2, 0.5]))).backward();
    optimizer.step();
    for (const [i, value] of wanted.entries())
      expect(Math.abs((p.data[i] as number) - value)).toBeLessThan(2e-6);
  }
});
