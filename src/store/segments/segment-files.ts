import type { StoreFile, StoreFs } from '../../files/fs.js';
import type { Segment } from './segment.js';

interface OpenSegment {
  opening: Promise<StoreFile>;
  users: number;
  /** Taken out of the pool: closed by its last user. */
  isStale: boolean;
}

/** Reads up to `buffer.length` bytes. @returns bytes read, less at the end of the file only */
export interface SegmentReader {
  read(segment: Segment, buffer: Buffer, position: number): Promise<number>;
}

/** Segments open for reading: a bounded pool, the longest unused goes first. */
export class SegmentFiles implements SegmentReader {
  readonly #fs: StoreFs;
  readonly #maxOpen: number;
  /** In order of last use. */
  readonly #open = new Map<Segment, OpenSegment>();

  constructor(fs: StoreFs, maxOpen: number) {
    this.#fs = fs;
    this.#maxOpen = maxOpen;
  }

  async read(segment: Segment, buffer: Buffer, position: number): Promise<number> {
    const entry = this.#take(segment);
    entry.users++;
    try {
      const file = await entry.opening;
      return await file.read(buffer, 0, buffer.length, position);
    } finally {
      entry.users--;
      if (entry.isStale && entry.users === 0) closeQuietly(entry);
    }
  }

  /** Without the pool, which needs to wait. */
  readSync(segment: Segment, buffer: Buffer, position: number): number {
    return this.#fs.readSync(segment.path, buffer, 0, buffer.length, position);
  }

  /** The file is to be removed, or is no longer read. */
  forget(segment: Segment): void {
    const entry = this.#open.get(segment);
    if (entry !== undefined) this.#drop(segment, entry);
  }

  close(): void {
    for (const [segment, entry] of this.#open) this.#drop(segment, entry);
  }

  #take(segment: Segment): OpenSegment {
    let entry = this.#open.get(segment);
    if (entry !== undefined) {
      this.#open.delete(segment);
      this.#open.set(segment, entry);
      return entry;
    }
    for (const [oldest, candidate] of this.#open) {
      if (this.#open.size < this.#maxOpen) break;
      this.#drop(oldest, candidate);
    }
    const opened: OpenSegment = { opening: this.#fs.open(segment.path, 'read'), users: 0, isStale: false };
    entry = opened;
    this.#open.set(segment, entry);
    opened.opening.catch(() => {
      if (this.#open.get(segment) === opened) this.#open.delete(segment);
    });
    return entry;
  }

  #drop(segment: Segment, entry: OpenSegment): void {
    this.#open.delete(segment);
    entry.isStale = true;
    if (entry.users === 0) closeQuietly(entry);
  }
}

// It was opened for reading: nothing can be lost by a close that fails.
function closeQuietly(entry: OpenSegment): void {
  entry.opening.then((file) => file.close()).catch(() => {});
}
