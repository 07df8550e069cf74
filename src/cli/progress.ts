/** A progress bar for work over a second, on a terminal only. */
import { SingleBar } from "cli-progress";

/** Shows, while `work` runs, that it does. How far it is nobody knows: the bar fills with the seconds. */
export async function withProgress<T>(what: string, work: () => Promise<T>): Promise<T> {
  if (!process.stderr.isTTY) return work();
  const bar = new SingleBar({
    format: `${what} {bar} {duration_formatted}`,
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
  });
  bar.start(60, 0);
  const timer = setInterval(() => bar.increment(), 1000);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    bar.stop();
  }
}
