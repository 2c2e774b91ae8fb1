import type { StoreFs } from '../files/fs.js';
import { errorCode } from '../files/fs-error.js';
import { isNoSpace } from '../files/store-error.js';
import { LOCKS_DIRECTORY } from '../files/store-folder.js';

/** The lock of an epoch, while a candidate has it. */
export interface HeldLock {
  /**
   * The lease of its epoch is won: removes the locks of older ones, of candidates that died and of terms that are over. Not
   * before that: a holder that is not to be replaced after all would lose its own, and step down.
   */
  removeOlder(): Promise<void>;
  /** Gives it back. */
  release(): Promise<void>;
}

/**
 * The lock of one epoch that candidates contend for: it keeps them from stampeding, and shows which one is trying. Safety does
 * not rest on it.
 *
 * @param onLost it was removed or replaced while it was held. The name of the lease says whether the term is over
 * @returns undefined if another has it
 */
export type CandidateLock = (epoch: number, onLost?: (error: Error) => void) => Promise<HeldLock | undefined>;

/** Some 11 days: a lock is never stolen, since stealing is what this kind of lock cannot do safely. */
const STALE_MS = 1_000_000_000;
/** How often it is looked at while it is held. */
const UPDATE_MS = 10_000;

/** A folder per epoch, held by `proper-lockfile`. @param warn called once if there can be no locks */
export function candidateLock(fs: StoreFs, dir: string, warn: (message: string) => void): CandidateLock {
  return lockWherePossible(folderLock(fs, dir), fs, dir, warn);
}

/**
 * The same, and no lock at all where it cannot be made, as on a disk without room: nothing rests on it, so no candidate may have to wait for it.
 * The locks of older epochs go all the same when the lease is won: that gives room for the next one.
 */
export function lockWherePossible(
  lock: CandidateLock,
  fs: StoreFs,
  dir: string,
  warn: (message: string) => void,
): CandidateLock {
  let isTold = false;
  return async (epoch, onLost) => {
    try {
      const held = await lock(epoch, onLost);
      isTold = false;
      return held;
    } catch (error) {
      if (!isTold) warn(withoutLocks(`${dir}/${LOCKS_DIRECTORY}`, error as Error));
      isTold = true;
      return {
        removeOlder: () => removeBefore(fs, dir, epoch).catch(() => {}),
        release: async () => {},
      };
    }
  };
}

function withoutLocks(path: string, error: Error): string {
  const taken =
    `${path} cannot be used, so the lease is taken without the lock of its epoch: ${error.message}. Nothing is at risk: several members may ` +
    'try at the same time, and one of them gets it. ';
  if (isNoSpace(error)) return `${taken}Make room on the device`;
  return (
    `${taken}Make it a folder in which this process can make folders (ls -ld ${path}), or remove it, ` +
    'whatever it is, while all members are stopped: it is made again'
  );
}

async function removeBefore(fs: StoreFs, dir: string, epoch: number): Promise<void> {
  const directory = `${dir}/${LOCKS_DIRECTORY}`;
  for (const name of await fs.list(directory)) {
    if (Number.parseInt(name, 10) < epoch) await fs.removeDirectory(`${directory}/${name}`).catch(() => {});
  }
}

function folderLock(fs: StoreFs, dir: string): CandidateLock {
  // Not before it is needed: it replaces `process.emit`, and the process may be that of a program with a broker inside.
  const loading = import('proper-lockfile');
  loading.catch(() => {});
  const directory = `${dir}/${LOCKS_DIRECTORY}`;
  const pathOf = (epoch: number): string => `${directory}/${String(epoch).padStart(8, '0')}.lock`;
  return async (epoch, onLost) => {
    await fs.makeDirectory(directory);
    const { default: lockfile } = await loading;
    let release: () => Promise<void>;
    try {
      release = await lockfile.lock(dir, {
        lockfilePath: pathOf(epoch),
        stale: STALE_MS,
        realpath: false,
        retries: 0,
        update: UPDATE_MS,
        onCompromised: (error) => onLost?.(error),
      });
    } catch (error) {
      if (errorCode(error) === 'ELOCKED') return undefined;
      throw error;
    }
    return {
      // What is left there does no harm.
      removeOlder: () => removeBefore(fs, dir, epoch).catch(() => {}),
      release: () => release().catch(() => {}),
    };
  };
}
