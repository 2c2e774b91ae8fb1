import { removeIfThere } from '../../files/file-io.js';
import { compareIds, type FileId, journalName, parseNames } from '../../files/file-names.js';
import { isMissing } from '../../files/store-error.js';
import type { Reserve } from '../room/reserve.js';
import type { JournalPosition } from '../types/journal.js';
import type { JournalFile, JournalFileOptions } from './journal-file.js';
import type { JournalSupply } from './journal-supply.js';

export interface RetiredFilesOptions extends JournalFileOptions {
  epoch: number;
  reserve: Reserve;
}

/** A file with less behind its last batch keeps it: cutting it costs more than that. */
const LEAST_TAIL_BYTES = 64 * 1024;

/** Gives back the room of journal files that a checkpoint stands for: whole files, and what is unused of those that messages stay in. */
export class RetiredFiles {
  readonly #options: RetiredFilesOptions;
  readonly #supply: JournalSupply;
  /** Where files of this term end that have more: by number. */
  readonly #tails = new Map<number, number>();

  constructor(options: RetiredFilesOptions, supply: JournalSupply) {
    this.#options = options;
    this.#supply = supply;
  }

  /** The journal has gone on behind this file. */
  sealed({ id, offset, bytes, filled }: JournalFile): void {
    // One that ended for want of room may have half a batch behind its end, which recovery is to find as it is.
    const hasEndedEarly = bytes === offset;
    if (!hasEndedEarly && filled - offset > LEAST_TAIL_BYTES) this.#tails.set(id.number, offset);
  }

  /**
   * Its own files it sets aside if there are too few of those, or uses again. One of an older term may still be written to, by a broker that does
   * not know of its end.
   *
   * @param mayKeep whether a file may be kept to be used again: where something has no room, that needs it more
   */
  async retire(
    position: JournalPosition,
    needed: (id: FileId) => boolean,
    kept: JournalPosition | undefined,
    mayKeep: () => boolean,
  ): Promise<void> {
    const { fs, directory, epoch, reserve } = this.#options;
    const names = await fs.list(directory);
    // Files that an older term began to make. The epoch stands before the first point.
    for (const name of names) {
      if (name.endsWith('.tmp') && Number.parseInt(name, 10) < epoch)
        await removeIfThere(fs, `${directory}/${name}`);
    }
    for (const id of parseNames(names, 'log')) {
      if (compareIds(id, position) >= 0 || (kept !== undefined && compareIds(id, kept) <= 0)) continue;
      const path = `${directory}/${journalName(id)}`;
      const isOwn = id.epoch === epoch;
      if (needed(id)) {
        if (isOwn) await this.#cut(id.number, path);
        continue;
      }
      if (isOwn) this.#tails.delete(id.number);
      if (isOwn && (await reserve.keep('log', path))) continue;
      if (isOwn && mayKeep() && (await this.#supply.keep(path))) continue;
      await removeIfThere(fs, path);
    }
  }

  /** Messages stay in the file, and it is not used again before they are gone: until then others may have the room behind them. */
  async #cut(number: number, path: string): Promise<void> {
    const end = this.#tails.get(number);
    if (end === undefined) return;
    this.#tails.delete(number);
    try {
      const file = await this.#options.fs.open(path, 'write');
      try {
        await file.truncate(end);
      } finally {
        await file.close();
      }
    } catch (error) {
      // A successor of which this term does not know yet has removed it.
      if (!isMissing(error)) throw error;
    }
  }
}
