/** Bytes that stay where they are, in memory or in a file, until they are read. */
import { closeSync, fstatSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { ModelFormatError } from "./errors.js";

/** Bytes that are worth staying in a file. */
export const MANY_BYTES = 32 * 1024;

/** A file that is open for as long as anybody can reach it. */
class OpenFile {
  private static readonly unreachable = new FinalizationRegistry<number>(closeSync);
  private readonly fd: number;
  private readonly changed: number;
  readonly length: number;

  constructor(private readonly path: string) {
    this.fd = openSync(path, "r");
    OpenFile.unreachable.register(this, this.fd);
    const { size, mtimeMs } = fstatSync(this.fd);
    this.length = size;
    this.changed = mtimeMs;
  }

  /** Its number in this process. A file replaced by another stays as it was. @throws {ModelFormatError} if it was written to since */
  descriptor(): number {
    const { size, mtimeMs } = fstatSync(this.fd);
    if (size === this.length && mtimeMs === this.changed) return this.fd;
    throw new ModelFormatError(
      `onnx: expected ${this.path} as it was when it was loaded, got one that was changed since; load it again`,
    );
  }

  /** Fills `bytes` with what is there from an offset on. */
  read(offset: number, bytes: Uint8Array): Uint8Array {
    for (let have = 0; have < bytes.length; ) {
      const more = readSync(this.fd, bytes, have, bytes.length - have, offset + have);
      if (more === 0) throw new RangeError(`${this.path} ends at byte ${offset + have}`);
      have += more;
    }
    return bytes;
  }
}

export class Bytes {
  private constructor(
    private readonly source: Uint8Array | OpenFile,
    private readonly offset: number,
    readonly length: number,
  ) {}

  static of(bytes: Uint8Array | Bytes): Bytes {
    return bytes instanceof Bytes ? bytes : new Bytes(bytes, 0, bytes.length);
  }

  /** @throws an error of the file system */
  static open(path: string): Bytes {
    if (!statSync(path).isFile()) return Bytes.of(readFileSync(path));
    const file = new OpenFile(path);
    return new Bytes(file, 0, file.length);
  }

  slice(offset: number, length: number): Bytes {
    return new Bytes(this.source, this.offset + offset, length);
  }

  /** A view on memory, or a copy of what is in the file: in `memory`, if that is large enough. */
  read(offset = 0, length = this.length, memory?: Uint8Array): Uint8Array {
    const start = this.offset + offset;
    if (!(this.source instanceof OpenFile)) return this.source.subarray(start, start + length);
    const fits = memory !== undefined && memory.length >= length;
    return this.source.read(start, fits ? memory.subarray(0, length) : new Uint8Array(length));
  }

  /** The file that they lie in, if native code can read it there. Windows has no such numbers that two libraries agree on. */
  place(): { file: number; offset: number } | undefined {
    if (!(this.source instanceof OpenFile) || process.platform === "win32") return undefined;
    return { file: this.source.descriptor(), offset: this.offset };
  }
}
