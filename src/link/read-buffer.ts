const READ_BYTES = 256 * 1024;
/** The beginning of a message, up to this size, is moved in front of the memory for the next read. */
const HEADROOM_BYTES = 16 * 1024;
/** Least room for a read. */
const MIN_READ_BYTES = 64 * 1024;
/** Memory that a large message has needed is kept for the next one up to this size. */
const MAX_KEPT_BYTES = 8 * 1024 * 1024;

/**
 * The memory for reads from a socket, in which every message lies in one piece: if a read ends within a message, its beginning is
 * kept in front of the next read. A large message is read into memory of its own, which stays as long as such messages come: new
 * memory for each of them would keep the garbage collector busy.
 */
export class ReadBuffer {
  buffer: Buffer;
  /** The bytes from `start` to `end` are not used up. */
  start = HEADROOM_BYTES;
  end = HEADROOM_BYTES;

  readonly #base: Buffer = Buffer.allocUnsafeSlow(HEADROOM_BYTES + READ_BYTES);
  // Nearly all reads use this same view, so that a read allocates nothing.
  readonly #baseSpace: Buffer = this.#base.subarray(HEADROOM_BYTES);
  #space: Buffer = this.#baseSpace;
  #large: Buffer | undefined;
  #wasLargeNeeded = false;

  constructor() {
    this.buffer = this.#base;
  }

  /** The memory for the next read, right behind `end`. It is never empty. */
  get free(): Buffer {
    return this.#space;
  }

  /** Notes that a read has put this many bytes into `free`. */
  filled(byteCount: number): void {
    this.end += byteCount;
  }

  /**
   * Prepares the memory for the next read.
   *
   * @param start first byte that is not used up
   * @param wantedBytes size of the operation that begins there; 0 if unknown
   */
  settle(start: number, wantedBytes: number): void {
    this.start = start;
    const restBytes = this.end - start;
    const neededBytes = Math.max(wantedBytes, restBytes + MIN_READ_BYTES);
    if (restBytes <= HEADROOM_BYTES && HEADROOM_BYTES - restBytes + neededBytes <= this.#base.length) {
      this.#moveTo(this.#base, HEADROOM_BYTES - restBytes);
      this.#space = this.#baseSpace;
      return;
    }
    if (start + neededBytes > this.buffer.length) {
      this.#moveTo(neededBytes <= this.buffer.length ? this.buffer : this.#largeOf(neededBytes), 0);
    }
    this.#space = this.buffer.subarray(this.end);
  }

  /** Gives back the memory of large messages if none has come since the last call: to be called now and then. */
  trim(): void {
    if (!this.#wasLargeNeeded) this.#large = undefined;
    this.#wasLargeNeeded = false;
  }

  #largeOf(byteCount: number): Buffer {
    this.#wasLargeNeeded = true;
    const kept = this.#large;
    if (kept !== undefined && kept.length >= byteCount) return kept;
    const large = Buffer.allocUnsafeSlow(byteCount + MIN_READ_BYTES);
    this.#large = large.length <= MAX_KEPT_BYTES ? large : undefined;
    return large;
  }

  #moveTo(buffer: Buffer, start: number): void {
    if (this.start < this.end) this.buffer.copy(buffer, start, this.start, this.end);
    this.end = start + (this.end - this.start);
    this.start = start;
    this.buffer = buffer;
  }
}
