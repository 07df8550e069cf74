/** Reductions over inner, outer and mixed axes, the places of extremes, softmax: small and odd sizes, NaN and infinities. */
import { both, often, rarely } from "../support/opCases.js";
import { testParity } from "../support/parity.js";

const reduced: readonly (readonly [number[], number[]])[] = [
  [[37], [0]],
  [
    [1, 1],
    [0, 1],
  ],
  [[5, 3], [1]],
  [[5, 3], [0]],
  [[3, 700], [0]],
  [[40, 9, 13], [1]],
  [
    [2, 9, 5, 33],
    [2, 3],
  ],
  [
    [2, 9, 5, 33],
    [0, 2],
  ],
  [
    [2, 9, 5, 33],
    [1, 3],
  ],
  [
    [2, 1, 300, 1],
    [1, 2],
  ],
  [[3, 40, 2, 517], [1]],
];
const reductions = ["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum"];
const exactly = ["Sum", "Max", "Min", "Prod", "L1", "SumSquare"];
const reductionCases = [...reductions, "LogSumExp"].flatMap((kind) =>
  reduced.flatMap(([shape, axes], k) =>
    both(
      `reduce${kind}`,
      { inputs: [shape], attrs: { axes, keepDims: k % 2 === 0 } },
      rarely,
      exactly.includes(kind),
    ),
  ),
);

const along: readonly (readonly [number[], number])[] = [
  [[1], 0],
  [[4, 37], 1],
  [[2900, 5], 1],
  [[3, 1100], 1],
  [[7, 1], 1],
  [[37, 3], 0],
  [[2, 21, 6, 7], 1],
  [[2, 3, 9, 100], 2],
  [[1, 300, 19], 1],
];
const axisCases = along.flatMap(([shape, axis]) => [
  ...["argMax", "argMin"].flatMap((name) =>
    [false, true].flatMap((selectLast) =>
      both(
        name,
        { inputs: [shape], attrs: { axis, keepDims: selectLast, selectLast } },
        often,
        true,
      ),
    ),
  ),
  ...["softmax", "logSoftmax"].flatMap((name) =>
    both(name, { inputs: [shape], attrs: { axis } }, rarely),
  ),
]);

testParity([...reductionCases, ...axisCases]);
