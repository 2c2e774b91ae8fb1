import lockfile from 'proper-lockfile';
import { errorCode } from './errors.js';
import type { StoreFs } from './fs.js';

/**
 * The lock of one epoch that candidates contend for: it keeps them from stampeding, and shows who is at it. Safety does
 * not rest on it.
 *
 * @param onCompromised somebody removed or replaced it while it was held
 * @returns how to give it back; undefined if another has it
 */
export type CandidateLock = (
  epoch: number,
  onCompromised?: (error: Error) => void,
) => Promise<(() => Promise<void>) | undefined>;

const DIRECTORY = 'reign.locks';
/** Some 11 days: a lock is never stolen, since stealing is what this kind of lock cannot do safely. */
const STALE_MS = 1_000_000_000;
/** How often it is looked at while it is held. */
const UPDATE_MS = 10_000;

/** A folder per epoch, held by `proper-lockfile`. */
export function candidateLock(fs: StoreFs, dir: string): CandidateLock {
  const directory = `${dir}/${DIRECTORY}`;
  const pathOf = (epoch: number): string => `${directory}/${String(epoch).padStart(8, '0')}.lock`;
  return async (epoch, onCompromised) => {
    await fs.makeDirectory(directory);
    let release: () => Promise<void>;
    try {
      release = await lockfile.lock(dir, {
        lockfilePath: pathOf(epoch),
        stale: STALE_MS,
        realpath: false,
        retries: 0,
        update: UPDATE_MS,
        onCompromised: (error) => onCompromised?.(error),
      });
    } catch (error) {
      if (errorCode(error) === 'ELOCKED') return undefined;
      throw error;
    }
    // Of candidates that died, and of reigns that did not end well.
    for (const name of await fs.list(directory)) {
      if (Number.parseInt(name, 10) < epoch) await fs.removeDirectory(`${directory}/${name}`).catch(() => {});
    }
    return () => release().catch(() => {});
  };
}
