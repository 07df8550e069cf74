/**
 * An event file: records one after another, each framed by its length and two checksums (TFRecord), so that a reader sees where a file that is still
 * being written, or was cut off, ends.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import crc32c from "crc-32/crc32c.js";
import { expected, LogError } from "../core/errors.js";

/** TFRecord's mask: a checksum of bytes that hold checksums themselves would be weak. */
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c.buf(bytes) >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

function frame(data: Uint8Array): Uint8Array {
  const record = new Uint8Array(12 + data.length + 4);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc(data), true);
  return record;
}

let files = 0;

/** Appends records in groups. What was appended is in the file after flush(), after close(), and when the process exits. */
export class EventFile {
  readonly path: string;
  private readonly fd: number;
  private queue: Uint8Array[] = [];
  private queued = 0;
  /** Where the next record goes: everything before it is whole. */
  private end = 0;
  private closed = false;
  private readonly atExit = (): void => this.close();

  /**
   * @param maxQueue  records that may wait; one more writes them all
   * @throws {LogError} if the directory cannot be made or written to
   */
  constructor(
    logdir: string,
    suffix: string,
    private readonly maxQueue: number,
  ) {
    const seconds = String(Math.floor(Date.now() / 1000)).padStart(10, "0");
    this.path = join(
      logdir,
      `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.${files++}${suffix}`,
    );
    try {
      mkdirSync(logdir, { recursive: true });
      this.fd = openSync(this.path, "wx"); // never another writer's file
    } catch (error) {
      throw new LogError(
        expected(
          "SummaryWriter",
          "a log directory that can be written to",
          (error as Error).message,
        ),
        { cause: error },
      );
    }
    process.on("exit", this.atExit);
  }

  append(event: Uint8Array): void {
    if (this.closed)
      throw new LogError(expected("SummaryWriter", "a writer that is open", "one after close()"));
    const record = frame(event);
    this.queue.push(record);
    this.queued += record.length;
    if (this.queue.length > this.maxQueue) this.flush();
  }

  /**
   * Writes what waits, as one block. If that fails nothing of the block stays in the file, and it waits for the next flush.
   *
   * @throws {LogError} if the disk is full, say
   */
  flush(): void {
    if (this.queue.length === 0) return;
    const block = new Uint8Array(this.queued);
    let at = 0;
    for (const record of this.queue) {
      block.set(record, at);
      at += record.length;
    }
    try {
      for (let written = 0; written < block.length; )
        written += writeSync(this.fd, block, written, block.length - written, this.end + written);
    } catch (error) {
      // A torn record would make readers stop here, and lose all that follows.
      ftruncateSync(this.fd, this.end);
      throw new LogError(
        expected(
          "SummaryWriter",
          `room for ${block.length} bytes in ${this.path}`,
          (error as Error).message,
        ),
        { cause: error },
      );
    }
    this.end += block.length;
    this.queue = [];
    this.queued = 0;
  }

  close(): void {
    if (this.closed) return;
    process.off("exit", this.atExit);
    try {
      this.flush();
    } finally {
      this.closed = true;
      closeSync(this.fd);
    }
  }
}
