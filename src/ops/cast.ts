/** cast: the same numbers in another element type. Floats to integers truncate; anything but 0 is true. */
import { dispatch } from "../core/dispatch.js";
import type { DType } from "../core/dtype.js";
import type { OpDef } from "../core/op.js";
import { readNumber, type Tensor, writeNumber } from "../core/tensor.js";
import { checkCount } from "./shared.js";

export const castOp: OpDef<{ readonly to: DType }> = {
  name: "cast",
  elementwise: true,
  infer(inputs, { to }) {
    checkCount("cast", inputs, 1);
    return [{ dtype: to, shape: inputs[0].shape }];
  },
  reference([x], _attrs, [y]) {
    const exact = x.dtype === "int64" && y.dtype === "int64";
    for (let i = 0; i < x.size; i++) {
      if (exact) y.data[i] = x.data[i];
      else writeNumber(y, i, readNumber(x, i));
    }
  },
};

/** The same numbers as another dtype. */
export const cast = (x: Tensor, to: DType): Tensor => dispatch(castOp, [x], { to })[0];
