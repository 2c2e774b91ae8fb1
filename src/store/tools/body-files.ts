import { type FileId, journalName } from '../../files/file-names.js';
import type { StoreFs } from '../../files/fs.js';
import { isMissing } from '../../files/store-error.js';
import { JOURNAL_DIRECTORY } from '../../files/store-folder.js';
import { readFileLeniently } from '../segments/lenient-read.js';

/** The journal files that extents point into, each read as a whole, as far as it can be. One is kept: extents of one file come one behind the other. */
export class BodyFiles {
  readonly #fs: StoreFs;
  readonly #dir: string;
  #path = '';
  #content: Buffer | undefined;

  constructor(fs: StoreFs, dir: string) {
    this.#fs = fs;
    this.#dir = dir;
  }

  pathOf(id: FileId): string {
    return `${this.#dir}/${JOURNAL_DIRECTORY}/${journalName(id)}`;
  }

  /** @returns undefined if the file is missing */
  async read(id: FileId): Promise<Buffer | undefined> {
    const path = this.pathOf(id);
    if (path === this.#path) return this.#content;
    this.#content = undefined;
    this.#path = path;
    const content = await readFileLeniently(this.#fs, path).catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
    // A broker that runs may have taken its name away meanwhile, and used the file again.
    const isThere = content !== undefined && (await this.#fs.status(path)) !== undefined;
    this.#content = isThere ? content : undefined;
    return this.#content;
  }
}
