/** Activations as layers. Formulas: src/ops/unary.ts. */
import { Tensor } from "../core/tensor.js";
import { prelu } from "../ops/binary.js";
import { softmax } from "../ops/softmax.js";
import * as F from "../ops/unary.js";
import { Module, Parameter } from "./Module.js";

export class ReLU extends Module {
  forward(x: Tensor): Tensor {
    return F.relu(x);
  }
}
export class ReLU6 extends Module {
  forward(x: Tensor): Tensor {
    return F.relu6(x);
  }
}
export class LeakyReLU extends Module {
  constructor(readonly negativeSlope = 0.01) {
    super();
  }
  forward(x: Tensor): Tensor {
    return F.leakyRelu(x, this.negativeSlope);
  }
  protected override describe(): string {
    return `negativeSlope=${this.negativeSlope}`;
  }
}
/** Leaky ReLU with learned slopes, one for all or one per channel. */
export class PReLU extends Module {
  readonly weight: Parameter;
  constructor(
    readonly channels = 1,
    slope = 0.25,
  ) {
    super();
    this.weight = new Parameter(Tensor.full([channels], slope));
  }
  forward(x: Tensor): Tensor {
    return prelu(x, this.weight);
  }
  protected override describe(): string {
    return `${this.channels}`;
  }
}
export class ELU extends Module {
  constructor(readonly alpha = 1) {
    super();
  }
  forward(x: Tensor): Tensor {
    return F.elu(x, this.alpha);
  }
  protected override describe(): string {
    return `alpha=${this.alpha}`;
  }
}
export class SELU extends Module {
  forward(x: Tensor): Tensor {
    return F.selu(x);
  }
}
export class GELU extends Module {
  constructor(readonly approximate: "none" | "tanh" = "none") {
    super();
  }
  forward(x: Tensor): Tensor {
    return F.gelu(x, { approximate: this.approximate });
  }
}
export class SiLU extends Module {
  forward(x: Tensor): Tensor {
    return F.silu(x);
  }
}
export class Mish extends Module {
  forward(x: Tensor): Tensor {
    return F.mish(x);
  }
}
export class Sigmoid extends Module {
  forward(x: Tensor): Tensor {
    return F.sigmoidOf(x);
  }
}
export class Hardsigmoid extends Module {
  forward(x: Tensor): Tensor {
    return F.hardsigmoid(x);
  }
}
export class Hardswish extends Module {
  forward(x: Tensor): Tensor {
    return F.hardswish(x);
  }
}
export class Tanh extends Module {
  forward(x: Tensor): Tensor {
    return F.tanh(x);
  }
}
export class Softplus extends Module {
  forward(x: Tensor): Tensor {
    return F.softplusOf(x);
  }
}
export class Softmax extends Module {
  constructor(readonly dim = -1) {
    super();
  }
  forward(x: Tensor): Tensor {
    return softmax(x, this.dim);
  }
  protected override describe(): string {
    return `dim=${this.dim}`;
  }
}
