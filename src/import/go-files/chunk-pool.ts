/** Large enough that reads cost little beside what is done with their bytes. */
const CHUNK_BYTES = 1024 * 1024;
/** Free chunks that are kept for the next read. */
const MAX_FREE = 8;

/** The memory of reads. A chunk is in use from `take` until `release`, which frees all of them at once. */
export class ChunkPool {
  /** Bytes that have been taken and not released. */
  lentBytes = 0;
  #lent: Buffer[] = [];
  readonly #free: Buffer[] = [];

  /** A chunk with at least so many bytes. */
  take(bytes: number): Buffer {
    const chunk =
      bytes > CHUNK_BYTES
        ? Buffer.allocUnsafeSlow(bytes)
        : (this.#free.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES));
    this.#lent.push(chunk);
    this.lentBytes += chunk.length;
    return chunk;
  }

  /** Nobody looks at the chunks any more, but for the one that the reader is in. */
  release(except?: Buffer): void {
    let kept: Buffer | undefined;
    for (const chunk of this.#lent) {
      if (chunk === except) kept = chunk;
      else if (chunk.length === CHUNK_BYTES && this.#free.length < MAX_FREE) this.#free.push(chunk);
    }
    this.#lent = kept === undefined ? [] : [kept];
    this.lentBytes = kept?.length ?? 0;
  }
}
