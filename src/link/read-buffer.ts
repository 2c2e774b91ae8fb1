const READ_BYTES = 256 * 1024;
/** A beginning up to this size is moved in front of the place where reads always land. */
const HEADROOM_BYTES = 16 * 1024;
/** Room that a read gets at least. */
const MIN_READ_BYTES = 64 * 1024;

/**
 * Memory that reads from the socket go into, such that every message lies in one piece: the beginning of a message that a read
 * has cut off stays in front of where the next read lands. It grows for one large message and shrinks back behind it.
 */
export class ReadBuffer {
  buffer: Buffer;
  /** Bytes from `start` to `end` are not used up. */
  start = HEADROOM_BYTES;
  end = HEADROOM_BYTES;

  readonly #base: Buffer = Buffer.allocUnsafeSlow(HEADROOM_BYTES + READ_BYTES);
  // The same view for nearly all reads, so that a read allocates nothing.
  readonly #baseSpace: Buffer = this.#base.subarray(HEADROOM_BYTES);
  #space: Buffer = this.#baseSpace;

  constructor() {
    this.buffer = this.#base;
  }

  /** Where the next read goes: right behind `end`. Never empty. */
  get free(): Buffer {
    return this.#space;
  }

  /** A read has put this many bytes into `free`. */
  filled(byteCount: number): void {
    this.end += byteCount;
  }

  /**
   * Call before the next read.
   * @param start first byte that is not used up
   * @param wantedBytes what the operation that begins there has in all; 0 if unknown
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
      const fits = neededBytes <= this.buffer.length;
      this.#moveTo(fits ? this.buffer : Buffer.allocUnsafeSlow(neededBytes + MIN_READ_BYTES), 0);
    }
    this.#space = this.buffer.subarray(this.end);
  }

  #moveTo(buffer: Buffer, start: number): void {
    if (this.start < this.end) this.buffer.copy(buffer, start, this.start, this.end);
    this.end = start + (this.end - this.start);
    this.start = start;
    this.buffer = buffer;
  }
}
