/** Tracing: what becomes a constant, what follows the input, views included. */
import { expect, it } from "vitest";
import { compile } from "../../src/compile.js";
import { Tensor } from "../../src/core/tensor.js";
import * as F from "../../src/functional.js";
import "../../src/backends/choose.js";

const backend = "reference";
const x = Tensor.randn([2, 3, 4, 5], { seed: 1 });
const y = Tensor.randn([2, 3, 4, 5], { seed: 2 });

/** Compiled once, run on other data than the example's. */
function sameAsEager(body: (t: Tensor) => Tensor): void {
  const net = compile(body, x, { backend });
  for (const input of [x, y, x]) {
    const { output } = net.runSync({ input });
    expect(output.toArray()).toEqual(body(input).toArray());
  }
  net.dispose();
}

it("a reshape of a traced tensor, and of a reshape, follows the input", () => {
  sameAsEager((t) => F.relu(t.reshape([6, 20])));
  sameAsEager((t) => F.relu(F.relu(t).reshape([6, -1]).reshape([120])));
  sameAsEager((t) => t.reshape([120]));
});

it("an entry of a traced tensor follows the input", () => {
  sameAsEager((t) => F.relu(t.at(1)));
  sameAsEager((t) => F.relu(F.relu(t).at(-1).at(2).reshape([5, 4])));
  sameAsEager((t) => t.at(0));
  sameAsEager((t) => F.relu(t.reshape([6, 4, 5]).at(3)));
});

it("an input that shares its buffer with a weight leaves the weight a constant", () => {
  const both = Tensor.randn([4, 3], { seed: 3 });
  const weight = both.at(1);
  const net = compile((t) => F.mul(t, weight), both.at(0), { backend });
  const input = Tensor.ones([3]);
  expect(net.runSync({ input }).output.toArray()).toEqual(weight.toArray());
  net.dispose();
});

it("a view that is not consecutive elements of the input is an error, not a constant", () => {
  const bits = (t: Tensor) => F.relu(new Tensor(new Int32Array(t.data.buffer, 0, 120), [120]));
  expect(() => compile(bits, x.clone(), { backend })).toThrow("views within a traced tensor");
});
