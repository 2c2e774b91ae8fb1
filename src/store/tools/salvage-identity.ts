import { readWhole } from '../../files/file-io.js';
import type { StoreFs } from '../../files/fs.js';
import { StoreError } from '../../files/store-error.js';
import { IDENTITY_FILE } from '../../files/store-folder.js';
import { FORMER_VERSION, FormerLease } from '../../lease/carry-over.js';
import { crc32 } from '../../util/crc.js';
import { readIdentity, STORE_VERSION, type StoreIdentity } from '../file/identity.js';
import { FILE_HEADER_BYTES, storeIdOf } from '../format/file-header.js';
import { readWhatCanBeRead } from '../segments/segment-scan.js';
import { type InspectOptions, listFiles, requireIdentity } from './inspect.js';

export interface SalvagedIdentity {
  identity: StoreIdentity;
  /** Whether the identity file is damaged: unreadable, or with another id. */
  isDamaged: boolean;
}

/** Limit of changed characters of a damaged store id: with more, it is another store's. */
const MAX_CHANGED = 4;

/**
 * The identity of a store, from `stanchion.json`, unless that cannot be read, or all other files show that it is damaged.
 *
 * @param clusterId the cluster id, in case the file has lost it
 * @throws StoreError if there is no store, its files are another's, or its cluster id is unknown
 */
export async function salvageIdentity(
  options: InspectOptions,
  clusterId: string | undefined,
): Promise<SalvagedIdentity> {
  const { fs, dir } = options;
  const path = `${dir}/${IDENTITY_FILE}`;
  const storeId = await storeIdOfFiles(options);
  // Without other files, this file alone counts.
  if (storeId === undefined) return { identity: await requireIdentity(options), isDamaged: false };
  let found: StoreIdentity | undefined;
  try {
    found = await readIdentity(fs, dir);
  } catch (error) {
    // The store of a newer program is not damaged, but unknown.
    if (!(error instanceof StoreError) || error.code === 'newer-version') throw error;
  }
  if (found?.storeId === storeId) {
    if (clusterId === undefined || clusterId === found.clusterId)
      return { identity: found, isDamaged: false };
    throw new StoreError(
      'wrong-cluster',
      `${dir} holds the store of cluster "${found.clusterId}", not of "${clusterId}"`,
    );
  }
  if (found !== undefined && changed(found.storeId, storeId) > MAX_CHANGED) {
    throw new StoreError(
      'foreign',
      `${path} is of the store ${found.storeId}, and the files beside it are of ${storeId}. Put together again what belongs together`,
    );
  }
  const text = await readText(fs, path);
  const name = clusterId ?? /"clusterId": "([^"\\\n]+)",\n/.exec(text)?.[1];
  if (name === undefined) {
    throw new StoreError('damaged', `${path} has lost the cluster id. Give it: --cluster-id ID`);
  }
  const createdAt = /"createdAt": "([^"\\\n]+)"\n/.exec(text)?.[1] ?? new Date(0).toISOString();
  return {
    identity: { formatVersion: await versionOf(fs, dir), clusterId: name, storeId, createdAt },
    isDamaged: true,
  };
}

/** The store id that most headers of the other files have. */
async function storeIdOfFiles({ fs, dir }: InspectOptions): Promise<string | undefined> {
  const votes = new Map<string, number>();
  for (const { path } of (await listFiles(fs, dir)).flat()) {
    const file = await fs.open(path, 'read');
    try {
      const header = await readWhatCanBeRead(file, 0, FILE_HEADER_BYTES);
      if (header.length < FILE_HEADER_BYTES || crc32(header, 0, 60) !== header.readUInt32LE(60)) continue;
      const storeId = storeIdOf(header);
      votes.set(storeId, (votes.get(storeId) ?? 0) + 1);
    } finally {
      await file.close();
    }
  }
  return [...votes].sort(([, a], [, b]) => b - a)[0]?.[0];
}

/** The format version of the store. A store of the former version has its lease in another folder. */
async function versionOf(fs: StoreFs, dir: string): Promise<number> {
  return (await new FormerLease(fs, dir).isThere()) ? FORMER_VERSION : STORE_VERSION;
}

async function readText(fs: StoreFs, path: string): Promise<string> {
  return (await readWhole(fs, path).catch(() => Buffer.alloc(0))).toString('utf8');
}

function changed(a: string, b: string): number {
  let count = Math.abs(a.length - b.length);
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) count++;
  return count;
}
