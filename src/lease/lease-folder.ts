// Looks into the folder of a lease: the names of the files in it are all that they say.

import { removeIfThere } from '../files/file-io.js';
import type { StoreFs } from '../files/fs.js';
import { isNoSpace } from '../files/store-error.js';
import type { LeaseState } from './lease-state.js';

/** The newest state among the names, as `parse` reads them; undefined if there is none. */
export function newestState(
  names: readonly string[],
  parse: (name: string) => LeaseState | undefined,
): LeaseState | undefined {
  let state: LeaseState | undefined;
  for (const name of names) {
    const candidate = parse(name);
    if (candidate === undefined) continue;
    if (
      state === undefined ||
      candidate.epoch > state.epoch ||
      (candidate.epoch === state.epoch && candidate.counter > state.counter)
    ) {
      state = candidate;
    }
  }
  return state;
}

/**
 * Makes a network mount ask the file server for a folder anew: a change of the mount's own voids what it remembers. Where there is
 * no room for that, what it remembers has to do: a program that goes by an old state fails, and harms nothing.
 *
 * @param probe a file to be made in the folder for a moment, with a name of the caller's own
 */
export async function askServer(fs: StoreFs, probe: string): Promise<void> {
  await removeIfThere(fs, probe);
  try {
    await (await fs.open(probe, 'create')).close();
    await removeIfThere(fs, probe);
  } catch (error) {
    if (!isNoSpace(error)) throw error;
  }
}
