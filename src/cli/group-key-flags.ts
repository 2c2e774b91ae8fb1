// The flags by which `status` and `drill` learn the key of a group: with it they know which answers come from its members, and can ask
// for what only who may read the store can ask for.

import { basename, dirname } from 'node:path';
import type { Options } from 'yargs';
import { ConfigError } from '../config/config-error.js';
import { nodeFs } from '../files/fs.js';
import { readKeyFile, storeIdOfKeyFile } from '../store/file/group-key.js';
import { checkIdentity } from '../store/file/identity.js';
import { flag } from './client-flags.js';
import type { Flags } from './flags.js';

const KEY_FILE =
  'a copy of the key file in that folder (stanchion.STOREID.key), for a machine where it is not mounted';

export const GROUP_KEY_FLAGS = {
  dir: flag("Folder of the group's store, whose key proves what members answer"),
  'group-key': flag(`Instead of --dir, ${KEY_FILE}`),
} as const satisfies Record<string, Options>;

/** The key of a group's store, or why there is none. */
export interface FoundKey {
  readonly key: Buffer | undefined;
  /** Undefined if no flag was given. */
  readonly problem: string | undefined;
}

const NONE: FoundKey = { key: undefined, problem: undefined };

/**
 * Reads the key. A folder that comes from the environment or a config file may be one that this user may not read: then there is a
 * problem to tell, and no error.
 *
 * @throws ConfigError if a file or folder on the command line has no key
 */
export async function groupKey(
  flags: Flags<keyof typeof GROUP_KEY_FLAGS>,
  clusterId: string,
): Promise<FoundKey> {
  const file = flags.text('group-key');
  if (file !== undefined) return await required(`--group-key ${file}`, () => keyIn(file));
  const dir = flags.text('dir');
  if (dir === undefined) return NONE;
  const read = (): Promise<Buffer | undefined> => keyOf(dir, clusterId);
  if (flags.isOnCommandLine('dir')) return await required(`--dir ${dir}`, read);
  try {
    const key = await read();
    return key === undefined
      ? { key, problem: `${dir} holds no store with a key` }
      : { key, problem: undefined };
  } catch (error) {
    return {
      key: undefined,
      problem: `the key of the store in ${dir} cannot be read: ${(error as Error).message}`,
    };
  }
}

async function required(what: string, read: () => Promise<Buffer | undefined>): Promise<FoundKey> {
  let key: Buffer | undefined;
  try {
    key = await read();
  } catch (error) {
    throw new ConfigError(`${what}: ${(error as Error).message}`);
  }
  if (key === undefined)
    throw new ConfigError(
      `${what}: there is no store with a key there. A store of release 0.1.0 has none before a newer broker has served from it`,
    );
  return { key, problem: undefined };
}

/** The key of the store in a folder. @returns undefined if there is no store, or one of release 0.1.0 */
export async function keyOf(dir: string, clusterId: string): Promise<Buffer | undefined> {
  return (await checkIdentity(nodeFs, dir, clusterId))?.groupKey;
}

async function keyIn(path: string): Promise<Buffer | undefined> {
  const storeId = storeIdOfKeyFile(basename(path));
  if (storeId === undefined)
    throw new Error('it is not named as a key file, stanchion.STOREID.key: keep that name in a copy');
  return (await readKeyFile(nodeFs, dirname(path), storeId)).groupKey;
}
