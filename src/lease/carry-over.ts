/**
 * Carries over stores of older versions. All of it is here, and goes when no such store is left: `Lease` asks for a former lease, and the
 * opening and the repair of a store call `carryOver`.
 *
 * A store of version 3 has all that a store of today has; only what its journals, segments and checkpoints may hold is less. A term that has
 * its lease raises the version in `stanchion.json`, by one byte, before it writes anything else, and older programs refuse it from then on.
 *
 * A store of release 0.1.0 has version 1: its lease lies in `reign/`, and its locks lie in `reign.locks/`. Members of both versions may run side by side, so each step has to hold against a program that knows nothing of the others:
 *
 * 1. A new program makes `lease/`, with a note in it instead of a state. The state is still in `reign/`, for both.
 * 2. A new candidate renames the state from `reign/` into `lease/`. This one rename wins the epoch and moves the lease: every
 *    other program, old or new, finds that the name it knows is gone. No file of `reign/` is a state from then on, and an old
 *    program never makes a folder that is there, so it can neither renew nor take a lease.
 * 3. Before its term reads or writes anything, it makes sure of that: `reign/` is there, holds no state by a listing that came
 *    from the server, and holds a note whose name an old program prints. Whatever lease was there is taken out, and its holder
 *    has lost it. (There is one only if the power failed in step 2, or if both versions made the store at the same time.)
 * 4. It makes the key file (store/file/group-key.ts), and raises the version in `stanchion.json`, by one byte: an old program that starts refuses
 *    the store, and says why.
 *
 * A crash leaves the store before or after one of these steps, and the next term goes through 3 and 4 again.
 */

import { readWhole, removeIfThere, writeAll } from '../files/file-io.js';
import type { StoreFs } from '../files/fs.js';
import { errorCode } from '../files/fs-error.js';
import { isMissing, isNoSpace, StoreError } from '../files/store-error.js';
import { IDENTITY_FILE, LEASE_DIRECTORY } from '../files/store-folder.js';
import { must } from '../util/assert.js';
import { askServer, newestState } from './lease-folder.js';
import { type LeaseState, NO_LENGTH, NONE_SERVED } from './lease-state.js';

/** The version in `stanchion.json` of a store that release 0.1.0 has made. */
export const FORMER_VERSION = 1;
/** The version of a store in which every message is copied from the journal into a segment. */
export const COPYING_VERSION = 3;
export const FORMER_LEASE_DIRECTORY = 'reign';
const FORMER_LOCKS_DIRECTORY = 'reign.locks';
/** Lies in `lease/` while the state is in `reign/`: a folder that holds something cannot be replaced by another one's. */
export const NOT_YET = 'the-lease-is-still-in-reign';
/** Lies in `reign/` from step 3 on. Release 0.1.0 prints what it finds there instead of a state. */
export const MOVED = 'moved-to-lease.this-store-needs-a-newer-stanchion';
const NAME = /^(\d{8,10})\.(\d{6,16})\.([A-Za-z0-9._@-]+)$/;
/** A holder that renews after each batch may be faster than one look and one removal, not than so many. */
const ATTEMPTS = 50;

function parseFormerName(name: string): LeaseState | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  const [, epoch, counter, holder] = match;
  return {
    epoch: Number(epoch),
    counter: Number(counter),
    ...NONE_SERVED,
    ...NO_LENGTH,
    holder: must(holder, 'each group of the pattern has matched'),
    isFormer: true,
  };
}

/** The lease of a store that no newer program has taken yet. */
export class FormerLease {
  readonly #fs: StoreFs;
  readonly #dir: string;

  /** @param dir of the store */
  constructor(fs: StoreFs, dir: string) {
    this.#fs = fs;
    this.#dir = `${dir}/${FORMER_LEASE_DIRECTORY}`;
  }

  /** Whether the state of the store's lease is to be looked for here. */
  async isThere(): Promise<boolean> {
    const names = await this.#list();
    return names !== undefined && !names.includes(MOVED);
  }

  /**
   * What it looked like a moment ago; undefined if no state is here.
   *
   * @param unique looks past what a mount remembers: the caller's own name
   */
  async read(unique?: string): Promise<LeaseState | undefined> {
    if (unique !== undefined) {
      await askServer(this.#fs, `${this.#dir}/look.${unique}`).catch((error: unknown) => {
        if (!isNotThere(error)) throw error;
      });
    }
    return newestState((await this.#list()) ?? [], parseFormerName);
  }

  pathOf({ epoch, counter, holder }: LeaseState): string {
    const name = `${String(epoch).padStart(8, '0')}.${String(counter).padStart(6, '0')}.${holder}`;
    return `${this.#dir}/${name}`;
  }

  /** @returns undefined if there is no such folder */
  async #list(): Promise<string[] | undefined> {
    try {
      return await this.#fs.list(this.#dir);
    } catch (error) {
      if (isNotThere(error)) return undefined;
      throw error;
    }
  }
}

function isNotThere(error: unknown): boolean {
  return isMissing(error) || errorCode(error) === 'ENOTDIR';
}

export interface CarryOverOptions {
  fs: StoreFs;
  dir: string;
  /** The version that the store has, and the one that it is to have. */
  from: number;
  to: number;
  /** Epoch of the term that opens the store: its state is in `lease/`. */
  epoch: number;
  /** The caller's own, for names of files. */
  unique: string;
  warn: (message: string) => void;
  /** Makes the key file that a store of the new version has, unless it is there. */
  makeKey: () => Promise<void>;
}

/**
 * Raises the version; of a store of release 0.1.0 these are steps 3 and 4. Called by a term before it reads or writes any other file of the store.
 *
 * @throws StoreError `lost` if a lease of this epoch or a later one was in `reign/`: it is out, and the next term goes on
 */
export async function carryOver(options: CarryOverOptions): Promise<void> {
  const { fs, dir, from, to, warn, makeKey } = options;
  const isFormer = from === FORMER_VERSION;
  if (isFormer) {
    await moveLease(options);
    await makeKey();
  }
  const isRaised = await raiseVersion(fs, `${dir}/${IDENTITY_FILE}`, from, to);
  if (!isRaised) return;
  const moved = isFormer ? `: its lease is in ${LEASE_DIRECTORY}/ now` : '';
  warn(
    `The store in ${dir} has been carried over from format version ${from} to ${to}${moved}. ` +
      'Older programs refuse it from here on; the way back is a backup (docs/upgrade.md)',
  );
}

/** Step 3. */
async function moveLease({ fs, dir, epoch, unique }: CarryOverOptions): Promise<void> {
  const highest = await retire(fs, dir, unique);
  if (highest >= epoch) {
    throw new StoreError(
      'lost',
      `${dir} had a lease of epoch ${highest} in ${FORMER_LEASE_DIRECTORY}/, so a term of epoch ${epoch} is over. That lease has been ended. Start the broker again`,
    );
  }
  await removeIfThere(fs, `${dir}/${LEASE_DIRECTORY}/${NOT_YET}`);
  await removeLocks(fs, dir);
}

/** Takes every state out of `reign/`. @returns the highest epoch among them, 0 if there was none */
async function retire(fs: StoreFs, dir: string, unique: string): Promise<number> {
  const folder = `${dir}/${FORMER_LEASE_DIRECTORY}`;
  let highest = 0;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    let names: string[];
    try {
      await askServer(fs, `${folder}/look.${unique}`);
      names = await fs.list(folder);
    } catch (error) {
      // No folder can be made where a file is.
      if (errorCode(error) === 'ENOTDIR') return highest;
      if (!isMissing(error)) throw error;
      await makeRetired(fs, folder, unique);
      continue;
    }
    const states = names.map(parseFormerName).filter((state) => state !== undefined);
    if (states.length === 0) {
      // An old program can still make its lease of a folder that is empty: with the note in it, one more look is the last.
      if (!names.includes(MOVED) && (await note(fs, folder))) continue;
      await fs.syncDirectory(folder);
      await fs.syncDirectory(dir);
      return highest;
    }
    const former = new FormerLease(fs, dir);
    for (const state of states) {
      highest = Math.max(highest, state.epoch);
      // A name that is gone has been changed by its holder: the next look finds what it is now.
      await removeIfThere(fs, former.pathOf(state));
    }
  }
  throw new StoreError(
    'held',
    `The lease in ${folder} is renewed faster than it can be taken out. Stop all brokers of release 0.1.0 on this store`,
  );
}

/** A folder without a state. An old program that finds none there would make one with a lease in it. */
async function makeRetired(fs: StoreFs, folder: string, unique: string): Promise<void> {
  const prepared = `${folder}.${unique}`;
  await fs.makeDirectory(prepared);
  await note(fs, prepared);
  try {
    await fs.rename(prepared, folder);
  } catch (error) {
    await removeIfThere(fs, `${prepared}/${MOVED}`);
    await fs.removeDirectory(prepared).catch(() => {});
    // Another program was faster, or the answer was lost. The next look finds what there is.
    if ((await fs.status(folder)) === undefined) throw error;
  }
}

/** Puts the note into the folder. @returns false if there is no room for it: the folder does without */
async function note(fs: StoreFs, folder: string): Promise<boolean> {
  try {
    await (await fs.open(`${folder}/${MOVED}`, 'create')).close();
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return true;
    if (isNoSpace(error)) return false;
    throw error;
  }
}

/** Nothing rests on the locks, and old candidates may be at it still: what cannot be removed is left. */
async function removeLocks(fs: StoreFs, dir: string): Promise<void> {
  const locks = `${dir}/${FORMER_LOCKS_DIRECTORY}`;
  for (const name of await fs.list(locks).catch(() => []))
    await fs.removeDirectory(`${locks}/${name}`).catch(() => {});
  await fs.removeDirectory(locks).catch(() => {});
}

/** One byte is written, in place: a reader finds the one version or the other, and members go on with the file that they have open. @returns false if another term was faster */
async function raiseVersion(fs: StoreFs, path: string, from: number, to: number): Promise<boolean> {
  const text = (await readWhole(fs, path)).toString('latin1');
  const version = (number: number): RegExp => new RegExp(`"formatVersion"\\s*:\\s*(?=${number}[\\s,}])`);
  const before = version(from).exec(text);
  if (before === null) {
    if (version(to).test(text)) return false;
    throw new StoreError(
      'foreign',
      `${path} does not say "formatVersion": ${from}, as this program writes it. Put it right`,
    );
  }
  const file = await fs.open(path, 'durable');
  try {
    await writeAll(file, Buffer.from(String(to)), 0, 1, before.index + before[0].length);
  } finally {
    await file.close();
  }
  return true;
}
