import type { FileStatus, StoreFile, StoreFs } from '../files/fs.js';
import { IDENTITY_FILE } from '../files/store-folder.js';

/**
 * Where the path of a store leads: to the `same` files as before; to the same ones by another mount, or by their clones on
 * another device (`remounted`); or to others.
 */
export type StorePlace = 'same' | 'remounted' | 'replaced';

interface Anchor {
  file: StoreFile;
  status: FileStatus;
}

/**
 * Whether the path of a store still leads to the files that this process began with. Open files go on as they are when a folder
 * is renamed away and another one put in its place, while every name is looked up in the new one.
 *
 * What is compared is the file that says whose store it is: it is made once, and never again. It is kept open, so that no
 * other file gets its number.
 */
export class StoreAnchor {
  readonly #fs: StoreFs;
  readonly #path: string;
  #anchor: Anchor | undefined;
  #looking: Promise<StorePlace> | undefined;
  #isClosed = false;

  constructor(fs: StoreFs, dir: string) {
    this.#fs = fs;
    this.#path = `${dir}/${IDENTITY_FILE}`;
  }

  /**
   * Looks again, unless a look is under way. What the first look finds is what later ones are compared with; after `remounted` it is
   * what that one has found.
   *
   * @returns `same` also while there is nothing to be seen: a path that leads nowhere is noticed where it is used
   * @throws Error if the file system cannot say
   */
  look(): Promise<StorePlace> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  close(): void {
    this.#isClosed = true;
    this.#drop();
  }

  async #look(): Promise<StorePlace> {
    const found = await this.#fs.status(this.#path);
    if (found === undefined) return 'same';
    const known = this.#anchor?.status;
    if (known === undefined) {
      await this.#take(found);
      return 'same';
    }
    if (found.inode !== known.inode) return 'replaced';
    if (found.device === known.device) return 'same';
    this.#drop();
    await this.#take(found);
    return 'remounted';
  }

  async #take(status: FileStatus): Promise<void> {
    const file = await this.#fs.open(this.#path, 'read');
    // It is the one that was looked at if the path leads to that still; else the next look takes what it finds.
    const again = await this.#fs.status(this.#path).catch(() => undefined);
    const isIt = again?.inode === status.inode && again.device === status.device;
    if (isIt && !this.#isClosed) this.#anchor = { file, status };
    else closeQuietly(file);
  }

  #drop(): void {
    const anchor = this.#anchor;
    this.#anchor = undefined;
    if (anchor !== undefined) closeQuietly(anchor.file);
  }
}

// It was opened for reading, and its mount may be gone.
function closeQuietly(file: StoreFile): void {
  file.close().catch(() => {});
}
