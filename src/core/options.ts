/**
 * Options of public functions: an unknown name, a wrong type or a value out of range is an error that names the option and the fix.
 */
import { expected, OptionError, show } from "./errors.js";

/** Throws unless every key of `options` is one of `known`. undefined options are fine. */
export function checkOptions(where: string, options: unknown, known: readonly string[]): void {
  if (options === undefined) return;
  if (options === null || typeof options !== "object" || Array.isArray(options)) {
    throw new OptionError(expected(where, `options { ${known.join(", ")} }`, show(options)));
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const near = nearest(name, known);
    throw new OptionError(
      `${where}: unknown option "${name}"; ${near ? `did you mean "${near}"?` : `the options are ${known.join(", ") || "none"}`}`,
    );
  }
}

/** An integer in a range (inclusive). */
export function readInt(
  where: string,
  name: string,
  value: unknown,
  min: number,
  max = 2 ** 31 - 1,
): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
    const range = max === 2 ** 31 - 1 ? `>= ${min}` : `from ${min} to ${max}`;
    throw new OptionError(expected(where, `an integer ${range} for "${name}"`, show(value)));
  }
  return value;
}

/** `count` integers, from one number for all or an array of them. */
export function readInts(
  where: string,
  name: string,
  value: unknown,
  count: number,
  min: number,
): number[] {
  if (typeof value === "number")
    return new Array<number>(count).fill(readInt(where, name, value, min));
  if (!Array.isArray(value) || value.length !== count) {
    throw new OptionError(
      expected(where, `an integer or ${count} integers for "${name}"`, show(value)),
    );
  }
  return value.map((n) => readInt(where, name, n, min));
}

/** A finite number. */
export function readNumberOption(where: string, name: string, value: unknown): number {
  if (typeof value !== "number" || !Number.isFinite(value)) {
    throw new OptionError(expected(where, `a finite number for "${name}"`, show(value)));
  }
  return value;
}

export function readBoolean(where: string, name: string, value: unknown): boolean {
  if (typeof value !== "boolean")
    throw new OptionError(expected(where, `true or false for "${name}"`, show(value)));
  return value;
}

/** One of a list of words. */
export function readChoice<T extends string>(
  where: string,
  name: string,
  value: unknown,
  choices: readonly T[],
): T {
  if (!choices.includes(value as T)) {
    const near = typeof value === "string" ? nearest(value, choices) : undefined;
    throw new OptionError(
      expected(
        where,
        `${choices.map((c) => `"${c}"`).join(", ")} for "${name}"`,
        show(value),
        near && `did you mean "${near}"?`,
      ),
    );
  }
  return value as T;
}

/** The known word closest to a misspelt one; undefined if none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.ceil(word.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein's distance: insertions, deletions, replacements. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}
