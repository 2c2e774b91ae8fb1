import type { StoreFile, StoreFs } from '../../files/fs.js';
import { shortageOf } from '../../files/store-error.js';
import type { Blob } from '../types/blobs.js';

interface OpenBlob {
  opening: Promise<StoreFile>;
  users: number;
  /** Taken out of the pool: closed by its last user. */
  isStale: boolean;
}

/** Blobs that are open for reading: a bounded pool, the longest unused goes first. */
export class OpenBlobs {
  readonly #fs: StoreFs;
  readonly #maxOpen: number;
  /** In order of last use. */
  readonly #open = new Map<Blob, OpenBlob>();

  constructor(fs: StoreFs, maxOpen: number) {
    this.#fs = fs;
    this.#maxOpen = maxOpen;
  }

  async read(blob: Blob, buffer: Buffer, position: number): Promise<number> {
    const entry = this.#take(blob);
    entry.users++;
    try {
      const file = await entry.opening;
      return await file.read(buffer, 0, buffer.length, position);
    } finally {
      entry.users--;
      if (entry.isStale && entry.users === 0) closeQuietly(entry);
    }
  }

  /** The file is to be removed. */
  forget(blob: Blob): void {
    const entry = this.#open.get(blob);
    if (entry !== undefined) this.#drop(blob, entry);
  }

  close(): void {
    for (const [blob, entry] of this.#open) this.#drop(blob, entry);
  }

  #take(blob: Blob): OpenBlob {
    const open = this.#open.get(blob);
    if (open !== undefined) {
      this.#open.delete(blob);
      this.#open.set(blob, open);
      return open;
    }
    for (const [oldest, candidate] of this.#open) {
      if (this.#open.size < this.#maxOpen) break;
      this.#drop(oldest, candidate);
    }
    const opened: OpenBlob = { opening: this.#openFile(blob), users: 0, isStale: false };
    this.#open.set(blob, opened);
    opened.opening.catch(() => {
      if (this.#open.get(blob) === opened) this.#open.delete(blob);
    });
    return opened;
  }

  /** Where no file can be opened, those that nothing reads at present are closed first. */
  async #openFile(blob: Blob): Promise<StoreFile> {
    try {
      return await this.#fs.open(blob.path, 'read');
    } catch (error) {
      if (shortageOf(error) === undefined || !(await this.#closeUnused())) throw error;
      return await this.#fs.open(blob.path, 'read');
    }
  }

  /** @returns whether there was any */
  async #closeUnused(): Promise<boolean> {
    const closing: Promise<void>[] = [];
    for (const [blob, { opening, users }] of this.#open) {
      if (users > 0) continue;
      this.#open.delete(blob);
      closing.push(opening.then((file) => file.close()).catch(() => {}));
    }
    await Promise.all(closing);
    return closing.length > 0;
  }

  #drop(blob: Blob, entry: OpenBlob): void {
    this.#open.delete(blob);
    entry.isStale = true;
    if (entry.users === 0) closeQuietly(entry);
  }
}

// It was opened for reading: nothing can be lost by a close that fails.
function closeQuietly(entry: OpenBlob): void {
  entry.opening.then((file) => file.close()).catch(() => {});
}
