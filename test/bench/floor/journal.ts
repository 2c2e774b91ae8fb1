import { constants, openSync, write } from 'node:fs';
import { open as openFile } from 'node:fs/promises';

const OVERWRITTEN_BYTES = 64 * 1024 * 1024;
const GATHER_BYTES = 1024 * 1024;
const ZEROS_BYTES = 4 * 1024 * 1024;

/**
 * Makes bytes durable and nothing else: one O_DSYNC write for all that came while the last one ran. The file grows, as that of a log does
 * that keeps what it has: each write gets new blocks of the disk, and new pages of the machine's memory. The file of a journal that
 * overwrites is filled with zeros before, so that no write changes its size, and used again from its start when it is full.
 */
export class Journal {
  readonly #fd: number;
  readonly #onDurable: (error?: Error) => void;
  readonly #onWritten: (error: Error | null) => void;
  #gathering = Buffer.allocUnsafeSlow(GATHER_BYTES);
  #writing = Buffer.allocUnsafeSlow(GATHER_BYTES);
  #length = 0;
  #position = 0;
  readonly #fileBytes: number;

  private constructor(fd: number, fileBytes: number, onDurable: (error?: Error) => void) {
    this.#fd = fd;
    this.#fileBytes = fileBytes;
    this.#onDurable = onDurable;
    this.#onWritten = (error) => this.#onDurable(error ?? undefined);
  }

  static async create(
    path: string,
    isOverwriting: boolean,
    onDurable: (error?: Error) => void,
  ): Promise<Journal> {
    const file = await openFile(path, 'w');
    const zeros = Buffer.alloc(ZEROS_BYTES);
    const filled = isOverwriting ? OVERWRITTEN_BYTES : 0;
    for (let at = 0; at < filled; at += zeros.length) await file.write(zeros, 0, zeros.length, at);
    await file.sync();
    await file.close();
    const fileBytes = isOverwriting ? OVERWRITTEN_BYTES : Number.POSITIVE_INFINITY;
    return new Journal(openSync(path, constants.O_WRONLY | constants.O_DSYNC), fileBytes, onDurable);
  }

  append(source: Buffer, start: number, end: number): void {
    const length = this.#length + end - start;
    if (length > this.#gathering.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, this.#gathering.length * 2));
      this.#gathering.copy(larger, 0, 0, this.#length);
      this.#gathering = larger;
    }
    source.copy(this.#gathering, this.#length, start, end);
    this.#length = length;
  }

  /** Writes all that is gathered. Not to be called while a write runs. */
  write(): void {
    const bytes = this.#gathering;
    const length = this.#length;
    this.#gathering = this.#writing;
    this.#writing = bytes;
    this.#length = 0;
    if (this.#position + length > this.#fileBytes) this.#position = 0;
    write(this.#fd, bytes, 0, length, this.#position, this.#onWritten);
    this.#position += length;
  }
}
