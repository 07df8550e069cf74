/** Training: backward()'s rules, optimisers against the formulas of their papers in float64, schedules, saving and resuming, the data loader. */
import { expect, it } from "vitest";
import {
  DataLoader,
  functional as F,
  GradientError,
  nn,
  noGrad,
  optim,
  Tensor,
  TensorDataset,
} from "../../src/index.js";

const leaf = (values: number[]): Tensor => {
  const t = Tensor.from(values);
  t.requiresGrad = true;
  return t;
};

it("gradients add up over uses and over backward() calls, until zeroGrad", () => {
  const x = leaf([2, 3]);
  F.sum(F.add(F.mul(x, x), x)).backward();
  expect(x.grad?.toArray()).toEqual([5, 7]);
  F.sum(x).backward();
  expect(x.grad?.toArray()).toEqual([6, 8]);
});

it("says what is wrong", () => {
  const x = leaf([1, 2]);
  expect(() => Tensor.from([1]).backward()).toThrow(
    "backward: expected a tensor made of tensors that require gradients",
  );
  expect(() => F.mul(x, x).backward()).toThrow(
    "backward: expected a tensor of one element, got (2,)",
  );
  expect(() => F.mul(x, x).backward(Tensor.from([1]))).toThrow(
    "expected a gradient of shape (2,), got (1,)",
  );
  const loss = F.sum(F.mul(x, x));
  loss.backward();
  expect(() => loss.backward()).toThrow(GradientError);
  const kept = F.sum(F.mul(x, x));
  kept.backward(undefined, { retainGraph: true });
  kept.backward();
  expect(() => F.sum(F.topk(x, 1)[0]).backward()).toThrow(
    "backward: expected ops that have a gradient, got topK",
  );
  expect(() => F.crossEntropy(Tensor.zeros([1, 3]), Tensor.from([3], "int64"))).toThrow(
    "crossEntropy: expected classes from 0 to 2, got 3 at 0",
  );
  expect(() => new optim.SGD([], {})).toThrow("SGD: expected parameters to learn, got none");
  expect(() => new optim.SGD([Tensor.zeros([1])])).toThrow(
    "SGD: expected float32 tensors that require gradients",
  );
  expect(() => new optim.SGD([x], { lr: -1 })).toThrow(
    'SGD: expected a number >= 0 for "lr", got -1',
  );
  expect(() => new optim.Adam([x], { learningRate: 1 } as never)).toThrow("Adam: unknown option");
});

it("nothing is recorded within noGrad, by compiled networks, or on tensors that require nothing", () => {
  const x = leaf([1]);
  expect(noGrad(() => F.mul(x, x)).requiresGrad).toBe(false);
  expect(F.mul(Tensor.from([1]), Tensor.from([2])).step).toBeUndefined();
  expect(F.mul(x, x).detach().requiresGrad).toBe(false);
});

/** Parameters after some steps with the gradient of 0.5 * p^2 + p, which is p + 1. */
function trajectory(make: (p: Tensor[]) => optim.Optimizer, steps = 4): number[] {
  const p = leaf([1, -0.5]);
  const optimizer = make([p]);
  const path: number[] = [];
  for (let i = 0; i < steps; i++) {
    p.grad = F.add(p.detach(), Tensor.from([1]));
    optimizer.step();
    path.push(...(p.data as Float32Array));
  }
  return path;
}

/** The same in float64, from a formula that is given a parameter, its gradient and a memory. */
function formula(
  update: (p: number, g: number, m: Record<string, number>, t: number) => number,
  steps = 4,
): number[] {
  const values = [1, -0.5];
  const memories: Record<string, number>[] = [{}, {}];
  const path: number[] = [];
  for (let t = 1; t <= steps; t++)
    values.forEach((p, i) => {
      values[i] = update(p, p + 1, memories[i], t);
      path.push(values[i]);
    });
  return path;
}

const close = (a: readonly number[], b: readonly number[]): void => {
  expect(a.length).toBe(b.length);
  for (const [i, value] of a.entries()) expect(Math.abs(value - b[i])).toBeLessThan(1e-6);
};

it("SGD: plain, momentum, dampening, weight decay, nesterov", () => {
  close(
    trajectory((p) => new optim.SGD(p, { lr: 0.1 })),
    formula((p, g) => p - 0.1 * g),
  );
  for (const { dampening = 0, weightDecay = 0, nesterov = false } of [
    {},
    { dampening: 0.3 },
    { weightDecay: 0.1 },
    { nesterov: true, weightDecay: 0.2 },
  ]) {
    close(
      trajectory(
        (p) => new optim.SGD(p, { lr: 0.1, momentum: 0.9, dampening, weightDecay, nesterov }),
      ),
      formula((p, gradient, m) => {
        const g = gradient + weightDecay * p;
        m.v = m.v === undefined ? g : 0.9 * m.v + (1 - dampening) * g;
        return p - 0.1 * (nesterov ? g + 0.9 * m.v : m.v);
      }),
    );
  }
});

it("Adam and AdamW", () => {
  for (const [decoupled, weightDecay] of [
    [false, 0],
    [false, 0.1],
    [true, 0.1],
  ] as const) {
    close(
      trajectory((p) =>
        decoupled
          ? new optim.AdamW(p, { lr: 0.05, weightDecay })
          : new optim.Adam(p, { lr: 0.05, weightDecay }),
      ),
      formula((start, gradient, m, t) => {
        const p = decoupled ? start * (1 - 0.05 * weightDecay) : start;
        const g = decoupled ? gradient : gradient + weightDecay * p;
        m.m = 0.9 * (m.m ?? 0) + 0.1 * g;
        m.v = 0.999 * (m.v ?? 0) + 0.001 * g * g;
        return p - (0.05 * (m.m / (1 - 0.9 ** t))) / (Math.sqrt(m.v / (1 - 0.999 ** t)) + 1e-8);
      }),
    );
  }
});

it("schedules", () => {
  const rates = (make: (o: { lr: number }) => { step(): void }): number[] => {
    const o = { lr: 1 };
    const schedule = make(o);
    return [
      o.lr,
      ...Array.from({ length: 4 }, () => {
        schedule.step();
        return o.lr;
      }),
    ];
  };
  close(
    rates((o) => new optim.StepLR(o, 2, 0.5)),
    [1, 1, 0.5, 0.5, 0.25],
  );
  close(
    rates((o) => new optim.CosineAnnealingLR(o, 4)),
    [1, (1 + Math.SQRT1_2) / 2, 0.5, (1 - Math.SQRT1_2) / 2, 0],
  );
  close(
    rates((o) => new optim.LinearLR(o, 0.5, 2)),
    [0.5, 0.75, 1, 1, 1],
  );
});

it("clipping", () => {
  const p = leaf([0, 0]);
  p.grad = Tensor.from([3, 4]);
  expect(optim.clipGradNorm([p], 1)).toBe(5);
  close([...(p.grad.data as Float32Array)], [0.6, 0.8]);
  optim.clipGradValue([p], 0.7);
  close([...(p.grad.data as Float32Array)], [0.6, 0.7]);
  p.grad = Tensor.from([Number.NaN, 1]);
  expect(() => optim.clipGradNorm([p], 1)).toThrow("expected finite gradients, got a norm of NaN");
});

it("batch norm learns from the batch, and uses its running statistics after eval()", () => {
  const layer = new nn.BatchNorm2d(1);
  const x = Tensor.from([[[[1, 3]]]]);
  close(
    [...(layer.forward(x).data as Float32Array)].map((v) => +v.toFixed(4)),
    [-1, 1],
  );
  close([layer.runningMean.item(), layer.runningVar.item()], [0.2, 0.9 + 0.1 * 2]);
  layer.eval();
  close(
    [...(layer.forward(x).data as Float32Array)],
    [0.8, 2.8].map((d) => d / Math.sqrt(1.1 + 1e-5)),
  );
  expect(() => layer.train().forward(Tensor.zeros([1, 1, 1, 1]))).toThrow(
    "expected more than one value per channel in training",
  );
});

it("a run that is saved and resumed goes on bit for bit as one that never stopped", () => {
  const make = () =>
    new nn.Sequential(
      new nn.Linear(4, 8, { seed: 1 }),
      new nn.ReLU(),
      new nn.Linear(8, 2, { seed: 2 }),
    );
  const [x, y] = [Tensor.randn([16, 4], { seed: 3 }), Tensor.randn([16, 2], { seed: 4 })];
  const learn = (model: nn.Module, optimizer: optim.Optimizer, steps: number): void => {
    for (let i = 0; i < steps; i++) {
      const loss = F.mseLoss(model.forward(x), y);
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
    }
  };
  for (const optimizerOf of [
    (m: nn.Module) => new optim.Adam(m.parameters()),
    (m: nn.Module) => new optim.SGD(m.parameters(), { lr: 0.01, momentum: 0.9 }),
  ]) {
    const whole = make();
    learn(whole, optimizerOf(whole), 6);
    const first = make();
    const optimizer = optimizerOf(first);
    learn(first, optimizer, 3);
    const saved = {
      model: Object.fromEntries(Object.entries(first.stateDict()).map(([k, t]) => [k, t.clone()])),
      optimizer: optimizer.stateDict(),
    };
    const resumed = make();
    const again = optimizerOf(resumed);
    resumed.loadStateDict(saved.model);
    again.loadStateDict(saved.optimizer);
    learn(resumed, again, 3);
    for (const [name, tensor] of Object.entries(whole.stateDict()))
      expect(resumed.stateDict()[name].data).toEqual(tensor.data);
  }
});

it("the data loader gives every example once, in a seeded order", () => {
  const dataset = new TensorDataset(
    Tensor.from([0, 1, 2, 3, 4]),
    Tensor.from([[0], [1], [2], [3], [4]]),
  );
  const pass = (loader: DataLoader<readonly Tensor[]>) =>
    [...loader].map(([a, b]) => {
      expect(b.toArray()).toEqual((a.toArray() as number[]).map((v) => [v]));
      return a.toArray() as number[];
    });
  expect(pass(new DataLoader(dataset, { batchSize: 2 }))).toEqual([[0, 1], [2, 3], [4]]);
  expect(pass(new DataLoader(dataset, { batchSize: 2, dropLast: true }))).toEqual([
    [0, 1],
    [2, 3],
  ]);
  const [one, two] = [1, 1].map(
    (seed) => new DataLoader(dataset, { batchSize: 5, shuffle: true, seed }),
  );
  const [first] = pass(one);
  expect(pass(two)[0]).toEqual(first);
  expect([...first].sort()).toEqual([0, 1, 2, 3, 4]);
  expect(pass(one)[0]).not.toEqual(first);
  expect(() => new TensorDataset(Tensor.zeros([2]), Tensor.zeros([3]))).toThrow(
    "first axes of one length",
  );
});
