/** Whether ops on tensors that require gradients are recorded. On by default; off within noGrad. */

let enabled = true;

/** Ops are recorded now. */
export const isGradEnabled = (): boolean => enabled;

/** Runs `body` (synchronous) with recording on or off, and puts back what was. */
export function withGradMode<T>(on: boolean, body: () => T): T {
  const before = enabled;
  enabled = on;
  try {
    return body();
  } finally {
    enabled = before;
  }
}

/**
 * Runs `body` without recording: its results require no gradients. Synchronous: what runs after an `await` is recorded again.
 *
 * @see torch.no_grad
 */
export const noGrad = <T>(body: () => T): T => withGradMode(false, body);
