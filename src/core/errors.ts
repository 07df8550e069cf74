/**
 * The error classes. One sentence pattern everywhere: `<where>: expected <what>, got <value>`, then the fix if there is one.
 * The class says the kind, `code` says it to programs that cannot use `instanceof` (another realm, another copy).
 */

/** Base of every error that this library throws on purpose. */
export class XcorrError extends Error {
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** Shapes that do not fit: a wrong rank, a channel mismatch, a window larger than its input. */
export class ShapeError extends XcorrError {
  constructor(message: string, options?: ErrorOptions) {
    super("XCORR_SHAPE", message, options);
  }
}

/** A tensor of the wrong element type, or data that cannot be one (detached, resizable, wrong length). */
export class TensorError extends XcorrError {
  constructor(message: string, options?: ErrorOptions) {
    super("XCORR_TENSOR", message, options);
  }
}

/** An option that is misspelt, of the wrong type or out of range; also environment variables. */
export class OptionError extends XcorrError {
  constructor(message: string, options?: ErrorOptions) {
    super("XCORR_OPTION", message, options);
  }
}

/** An ONNX operator, or a mode of one, that this library does not have. */
export class UnsupportedOperatorError extends XcorrError {
  constructor(message: string, options?: ErrorOptions) {
    super("XCORR_UNSUPPORTED", message, options);
  }
}

/** A model or weights file that is damaged or not what it says. */
export class ModelFormatError extends XcorrError {
  constructor(message: string, options?: ErrorOptions) {
    super("XCORR_MODEL_FORMAT", message, options);
  }
}

/** The native addon is missing, does not load or does not fit. */
export class AddonError extends XcorrError {
  constructor(message: string, options?: ErrorOptions) {
    super("XCORR_ADDON", message, options);
  }
}

/** Gradients asked for where none were recorded, or through an op that has none. */
export class GradientError extends XcorrError {
  constructor(message: string, options?: ErrorOptions) {
    super("XCORR_GRADIENT", message, options);
  }
}

/** A log that cannot be written: no directory, no room, closed. */
export class LogError extends XcorrError {
  constructor(message: string, options?: ErrorOptions) {
    super("XCORR_LOG", message, options);
  }
}

/** Use of a network after `dispose()`. */
export class DisposedError extends XcorrError {
  constructor(message: string, options?: ErrorOptions) {
    super("XCORR_DISPOSED", message, options);
  }
}

/** The one sentence pattern. `fix` is a full clause: `"pass { groups: 2 }"`. */
export function expected(where: string, what: string, got: string, fix?: string): string {
  return `${where}: expected ${what}, got ${got}${fix ? `; ${fix}` : ""}`;
}

/** A value as an error message shows it: short, exact, unambiguous. */
export function show(value: unknown): string {
  if (typeof value === "string")
    return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  if (typeof value === "bigint") return `${value}n`;
  if (Array.isArray(value)) {
    const head = value.slice(0, 8).map(show).join(", ");
    return `[${head}${value.length > 8 ? `, ... ${value.length} in all` : ""}]`;
  }
  if (typeof value === "function") return `function ${value.name || "(anonymous)"}`;
  if (value !== null && typeof value === "object") return value.constructor?.name ?? "object";
  return String(value);
}

/** A shape as an error message shows it: `(1, 3, 224, 224)`. */
export function showShape(shape: readonly number[]): string {
  return `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
}
