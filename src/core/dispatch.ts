/**
 * The choke point: every eager call of every op comes through here. Infer, allocate, run; and when a recording is open,
 * tell it what was run. Tracing a graph is a recording; steps for gradients are
 * recorded on the tensors themselves (autograd.ts).
 */
import { recordStep } from "./autograd.js";
import type { Backend } from "./backend.js";
import { DTYPES } from "./dtype.js";
import { AddonError } from "./errors.js";
import type { OpDef } from "./op.js";
import { sizeOf } from "./shape.js";
import { checkData, Tensor } from "./tensor.js";

/** Listens to what dispatch runs. */
export interface Recorder {
  record(op: OpDef, inputs: readonly Tensor[], attrs: object, outputs: readonly Tensor[]): void;
}

/** Which backend is wanted; what is left open is the environment's choice, then the best there is. */
export interface BackendRequest {
  readonly backend?: "native" | "reference";
  readonly isa?: string;
}

let chooseBackend: ((request: BackendRequest) => Backend) | undefined;
let current: Backend | undefined;
const recorders: Recorder[] = [];

/** Says how backends are found, when one is first needed. The wiring is src/backends/choose.ts. */
export function provideBackend(choose: (request: BackendRequest) => Backend): void {
  chooseBackend = choose;
}

/** A backend for a request. @throws {OptionError | AddonError} from the wiring, if there is none */
export function resolveBackend(request: BackendRequest): Backend {
  if (chooseBackend === undefined) {
    throw new AddonError(
      'xcorr: expected a backend to be wired, got none; import "xcorr" instead of an inner file',
    );
  }
  return chooseBackend(request);
}

/** The backend that eager calls run on. */
export function currentBackend(): Backend {
  current ??= resolveBackend({});
  return current;
}

/** Runs `body` with eager calls on another backend. */
export function withBackend<T>(backend: Backend, body: () => T): T {
  const before = current;
  current = backend;
  try {
    return body();
  } finally {
    current = before;
  }
}

/** Runs `body` (synchronous) with every op reported to `recorder`. */
export function withRecorder<T>(recorder: Recorder, body: () => T): T {
  recorders.push(recorder);
  try {
    return body();
  } finally {
    recorders.splice(recorders.lastIndexOf(recorder), 1);
  }
}

/** Runs an op on tensors: the outputs, as infer typed them. */
export function dispatch<Attrs extends object>(
  op: OpDef<Attrs>,
  inputs: readonly Tensor[],
  attrs: Attrs,
): Tensor[] {
  for (const input of inputs) checkData(op.name, input);
  const outputs = op
    .infer(inputs, attrs)
    .map(
      (type) =>
        new Tensor(new DTYPES[type.dtype].array(sizeOf(type.shape)), type.shape, type.dtype),
    );
  currentBackend().run(op, inputs, attrs, outputs);
  for (const recorder of recorders) recorder.record(op, inputs, attrs, outputs);
  recordStep(op as OpDef, inputs, attrs, outputs);
  return outputs;
}
