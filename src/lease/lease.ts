import { removeIfThere } from '../files/file-io.js';
import { parseNames } from '../files/file-names.js';
import type { StoreFs } from '../files/fs.js';
import { makeApart } from '../files/inode-distance.js';
import { isMissing, StoreError } from '../files/store-error.js';
import {
  CHECKPOINT_DIRECTORY,
  JOURNAL_DIRECTORY,
  LEASE_DIRECTORY,
  SEGMENT_DIRECTORY,
} from '../files/store-folder.js';
import { assert } from '../util/assert.js';
import { FormerLease, NOT_YET } from './carry-over.js';
import { askServer, newestState } from './lease-folder.js';
import {
  begun,
  holderName,
  LEASE_FORMAT_VERSION,
  type LeaseState,
  leaseFileName,
  leaseFileVersion,
  lost,
  type NewTerm,
  parseLeaseFileName,
  RELEASED,
  renewed,
  unheld,
} from './lease-state.js';

/** A listing while a file is being renamed may show no name, or both. */
const LIST_ATTEMPTS = 10;

/** The lease of a store directory. Every change is one rename: it succeeds for one process, and all others find that they lost. */
export class Lease {
  readonly #fs: StoreFs;
  readonly #parent: string;
  readonly #isApart: boolean;
  readonly #dir: string;
  readonly #former: FormerLease;

  /** @param isApart where it is made, it is made apart from other files, for it is to be renamed often: see inode-distance.ts */
  constructor(fs: StoreFs, dir: string, isApart = false) {
    this.#fs = fs;
    this.#parent = dir;
    this.#isApart = isApart;
    this.#dir = `${dir}/${LEASE_DIRECTORY}`;
    this.#former = new FormerLease(fs, dir);
  }

  /** The folder of the lease, for people. */
  get path(): string {
    return this.#dir;
  }

  /**
   * Makes the folder, if there is none: released at epoch 0, or at the newest that has left files, if the folder was removed.
   * In a store of release 0.1.0, which has files or an identity, it holds no state yet.
   *
   * @param unique makes the name of the prepared folder this process's own
   * @param isStoreThere the store has an identity, which is made after the lease: if there is none, it is lost
   * @returns what to warn of: that it is lost
   */
  async create(unique: string, isStoreThere = false): Promise<string | undefined> {
    if ((await this.#fs.status(this.#dir)) !== undefined) return undefined;
    await this.#fs.makeDirectory(this.#parent);
    const prepared = `${this.#parent}/${LEASE_DIRECTORY}.${holderName(unique)}`;
    const epoch = await this.#newestEpoch();
    // With neither files nor an identity yet, a broker of each release may be making the store at this moment.
    const isFormer = (epoch > 0 || isStoreThere) && (await this.#former.isThere());
    const state = isStoreThere ? lost(epoch) : unheld(epoch);
    const first = `${prepared}/${isFormer ? NOT_YET : leaseFileName(state)}`;
    const prepare = async (): Promise<void> => {
      await this.#fs.makeDirectory(prepared);
      const file = await this.#fs.open(first, 'create');
      await file.sync();
      await file.close();
    };
    let isOwn = true;
    try {
      await (this.#isApart ? makeApart(this.#fs, `${prepared}.room`, prepare) : prepare());
      await this.#fs.syncDirectory(prepared);
      await this.#fs.rename(prepared, this.#dir);
    } catch (error) {
      await this.#fs.unlink(first).catch(() => {});
      await this.#fs.removeDirectory(prepared).catch(() => {});
      // Another one's folder was faster. It is not empty, so it cannot be replaced.
      if ((await this.#fs.status(this.#dir)) === undefined) throw error;
      isOwn = false;
    }
    await this.#fs.syncDirectory(this.#parent);
    return isOwn && isStoreThere && !isFormer ? lostLeaseText(this.#dir) : undefined;
  }

  async #newestEpoch(): Promise<number> {
    const folders = [
      [JOURNAL_DIRECTORY, 'log'],
      [SEGMENT_DIRECTORY, 'seg'],
      [CHECKPOINT_DIRECTORY, 'ckpt'],
    ] as const;
    const epochs = folders.map(async ([directory, extension]) => {
      const names = await this.#fs.list(`${this.#parent}/${directory}`).catch((error: unknown) => {
        if (isMissing(error)) return [];
        throw error;
      });
      return parseNames(names, extension).map(({ epoch }) => epoch);
    });
    return Math.max(0, ...(await Promise.all(epochs)).flat());
  }

  /**
   * What the lease looked like a moment ago.
   *
   * @throws StoreError if the folder holds something else
   */
  read(): Promise<LeaseState> {
    return this.#read(undefined);
  }

  async #read(unique: string | undefined): Promise<LeaseState> {
    let names: string[] = [];
    let missing: unknown;
    for (let attempt = 0; attempt < LIST_ATTEMPTS; attempt++) {
      try {
        names = await this.#fs.list(this.#dir);
        missing = undefined;
      } catch (error) {
        if (!isMissing(error)) throw error;
        missing = error;
      }
      const state = this.#newest(names) ?? (await this.#former.read(unique));
      if (state !== undefined) return state;
    }
    if (missing !== undefined && !(await this.#former.isThere())) throw missing;
    throw this.#damaged(names);
  }

  /** The same without waiting, as `renewNow`. @returns undefined if the file system cannot */
  readNow(): LeaseState | undefined {
    if (this.#fs.listSync === undefined) return undefined;
    let names: string[] = [];
    for (let attempt = 0; attempt < LIST_ATTEMPTS; attempt++) {
      names = this.#fs.listSync(this.#dir);
      const state = this.#newest(names);
      if (state !== undefined) return state;
    }
    throw this.#damaged(names);
  }

  /** @throws StoreError if a newer program has been here */
  #newest(names: readonly string[]): LeaseState | undefined {
    for (const name of names) {
      const version = leaseFileVersion(name) ?? 0;
      if (version > LEASE_FORMAT_VERSION) {
        throw new StoreError(
          'newer-version',
          `${this.#dir}/${name} is a lease of format version ${version}; this program knows versions up to ${LEASE_FORMAT_VERSION}. Use a newer stanchion`,
        );
      }
    }
    return newestState(names, parseLeaseFileName);
  }

  #damaged(names: readonly string[]): StoreError {
    const isMoving = names.includes(NOT_YET);
    return new StoreError(
      'damaged',
      `${this.#dir} should hold one file whose name is the state of the lease, and holds ${
        names.length === 0 ? 'nothing' : names.join(', ')
      }. ${isMoving ? 'Another broker has just moved the lease here, and this mount will show it in a moment. If it goes on: with' : 'With'} no broker running, put an empty file named ${leaseFileName(unheld(0))} there, with the epoch raised to the highest in the store's file names`,
    );
  }

  /**
   * The same, past what a network mount remembers of the folder.
   *
   * @param unique the caller's own name
   */
  async readFresh(unique: string): Promise<LeaseState> {
    const name = holderName(unique);
    await askServer(this.#fs, `${this.#dir}/look.${name}`);
    return this.#read(name);
  }

  /**
   * @param batch the newest batch of this term that is durable: the name says so from now on. 0 says nothing new
   * @returns the next state, or 'lost' if `known` is no longer the state
   */
  renew(known: LeaseState, batch = 0): Promise<LeaseState | 'lost'> {
    return this.#change(known, renewed(known, batch));
  }

  /** Whether the file system can rename without waiting. */
  get canRenewNow(): boolean {
    return this.#fs.renameSync !== undefined;
  }

  /** The same without waiting. @returns undefined if the file system cannot */
  renewNow(known: LeaseState, batch = 0): LeaseState | 'lost' | undefined {
    if (this.#fs.renameSync === undefined) return undefined;
    const next = renewed(known, batch);
    try {
      this.#fs.renameSync(this.#pathOf(known), this.#pathOf(next));
      return next;
    } catch (error) {
      if (isMissing(error)) return 'lost';
      throw error;
    }
  }

  /**
   * Begins the lease of `epoch`, durably.
   *
   * @param term its epoch is higher than that of `known`
   */
  async takeOver(known: LeaseState, term: NewTerm): Promise<LeaseState | 'lost'> {
    if (known.isFormer) await this.create(term.holder, true);
    const next = await this.#change(known, begun(known, term));
    if (next !== 'lost') await this.settle(next);
    return next;
  }

  /**
   * Removes what is left of earlier terms, durably, for the term that has just begun. Nothing is left, unless a name was put here by
   * hand: the lease was taken from one of the two names then, and a holder of the other would go on renewing its own.
   *
   * @throws StoreError if another process renews faster than that
   */
  async settle({ epoch }: LeaseState): Promise<void> {
    let seen = '';
    for (let attempt = 1; ; attempt++) {
      const names = await this.#fs.list(this.#dir);
      const older = names.filter((name) => (parseLeaseFileName(name)?.epoch ?? epoch) < epoch).sort();
      // The same once more is what a mount remembers: it was removed.
      if (older.length === 0 || older.join() === seen) break;
      if (attempt > LIST_ATTEMPTS) throw this.#damaged(names);
      for (const name of older) await removeIfThere(this.#fs, `${this.#dir}/${name}`);
      seen = older.join();
    }
    await this.#fs.syncDirectory(this.#dir);
  }

  /** Ends the lease, durably. */
  async release(known: LeaseState): Promise<LeaseState | 'lost'> {
    const next = await this.#change(known, { ...known, counter: known.counter + 1, holder: RELEASED });
    if (next !== 'lost') await this.#fs.syncDirectory(this.#dir);
    return next;
  }

  #pathOf(state: LeaseState): string {
    if (state.isFormer) return this.#former.pathOf(state);
    return `${this.#dir}/${leaseFileName(state)}`;
  }

  async #change(from: LeaseState, to: LeaseState): Promise<LeaseState | 'lost'> {
    assert(
      to.epoch > from.epoch || (to.epoch === from.epoch && to.counter > from.counter),
      'each change of a lease leads to a higher epoch or counter',
    );
    try {
      await this.#fs.rename(this.#pathOf(from), this.#pathOf(to));
      return to;
    } catch (error) {
      if (isMissing(error)) return 'lost';
      throw error;
    }
  }
}

/** For people. @param path of the folder of the lease */
export function lostLeaseText(path: string): string {
  return (
    `${path} was missing, and has been made again. It said which term was the newest, and how far its journal was durable: if more is missing, ` +
    'such as the newest files, nothing shows it now. Find out what has removed the folder, and compare the store with a backup'
  );
}
