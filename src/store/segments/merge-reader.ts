import type { Blob, BlobReader } from '../types/blobs.js';

const WINDOW_BYTES = 256 * 1024;
/** Larger reads gain nothing from a window. */
const MAX_WINDOWED_BYTES = 32 * 1024;
/** One merge takes no more: each segment has a window, and that is all the memory that a merge reads into. */
export const MAX_MERGED_SEGMENTS = 16;

interface Window {
  buffer: Buffer;
  start: number;
  end: number;
}

/**
 * Reads segments through a window each. A merge goes through all its segments from front to back at the same pace, in
 * pieces as small as the extents: with a thousand channels, a read of the disk for each would cost more than all else.
 * For at most `MAX_MERGED_SEGMENTS`.
 */
export class MergeReader implements BlobReader {
  readonly #blobs: BlobReader;
  readonly #windows = new Map<Blob, Window>();
  /** Buffers of the merges before. */
  readonly #spare: Buffer[] = [];

  constructor(blobs: BlobReader) {
    this.#blobs = blobs;
  }

  /** The next merge reads other segments. */
  reset(): void {
    for (const { buffer } of this.#windows.values()) this.#spare.push(buffer);
    this.#windows.clear();
  }

  async read(segment: Blob, buffer: Buffer, position: number): Promise<number> {
    if (buffer.length > MAX_WINDOWED_BYTES) return this.#blobs.read(segment, buffer, position);
    let window = this.#windows.get(segment);
    if (window === undefined || position < window.start || position + buffer.length > window.end) {
      window = await this.#fill(segment, position);
    }
    const at = position - window.start;
    return window.buffer.copy(buffer, 0, at, Math.min(at + buffer.length, window.end - window.start));
  }

  async #fill(segment: Blob, position: number): Promise<Window> {
    let window = this.#windows.get(segment);
    if (window === undefined) {
      window = { buffer: this.#spare.pop() ?? Buffer.allocUnsafeSlow(WINDOW_BYTES), start: 0, end: 0 };
      this.#windows.set(segment, window);
    }
    // The rows of an extent are read first, and lie behind its records.
    window.start = Math.max(0, position - WINDOW_BYTES / 2);
    window.end = window.start;
    window.end += await this.#blobs.read(segment, window.buffer, window.start);
    return window;
  }
}
