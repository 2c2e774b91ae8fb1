import { readWhole } from '../../files/file-io.js';
import type { StoreFs } from '../../files/fs.js';
import { DamageError, StoreError } from '../../files/store-error.js';
import { IDENTITY_FILE, IMPORTING_FILE } from '../../files/store-folder.js';
import { FORMER_VERSION, FormerLease } from '../../lease/carry-over.js';
import { crc32 } from '../../util/crc.js';
import { identityCrc, type KeyFile, readKeyFile } from '../file/group-key.js';
import { readIdentityFile, STORE_VERSION, type StoreIdentity, unfinishedImport } from '../file/identity.js';
import { FILE_HEADER_BYTES, storeIdOf } from '../format/file-header.js';
import { readWhatCanBeRead } from '../segments/lenient-read.js';
import { type InspectOptions, listFiles, problemOfIdentity, requireIdentity } from './inspect.js';

export interface SalvagedIdentity {
  identity: StoreIdentity;
  /** Whether the identity file is damaged: unreadable, with another id, or against its checksum. */
  isDamaged: boolean;
  /** Why the store needs a new key file. */
  keyProblem: DamageError | undefined;
  /** The group key, if it can be read: it goes on in a new key file. */
  groupKey: Buffer | undefined;
}

/** Limit of changed characters of a damaged store id: with more, it is another store's. */
const MAX_CHANGED = 4;

/**
 * The identity of a store, from `stanchion.json`, unless that cannot be read, or its checksum or all other files show that it is damaged.
 *
 * @param clusterId the cluster id, in case the file has lost it
 * @throws StoreError if there is no store, its files are another's, or its cluster id is unknown
 */
export async function salvageIdentity(
  options: InspectOptions,
  clusterId: string | undefined,
): Promise<SalvagedIdentity> {
  const { fs, dir } = options;
  const names: string[] = await fs.list(dir).catch(() => []);
  // What is there is a part of what is to come, and the old server has all of it.
  if (names.includes(IMPORTING_FILE) && !names.includes(IDENTITY_FILE)) throw unfinishedImport(dir);
  // Without other files, this file alone counts.
  const storeId = (await storeIdOfFiles(options)) ?? (await requireIdentity(options)).storeId;
  const key = await salvageKey(options, storeId);
  const groupKey = key?.groupKey;
  const found = await readWhatItSays(options);
  const isRight = found?.storeId === storeId && (key === undefined || key.identityCrc === identityCrc(found));
  if (isRight) {
    if (clusterId !== undefined && clusterId !== found.clusterId) {
      throw new StoreError(
        'wrong-cluster',
        `${dir} holds the store of cluster "${found.clusterId}", not of "${clusterId}"`,
      );
    }
    return {
      identity: found,
      isDamaged: false,
      keyProblem: await problemOfIdentity(options, found),
      groupKey,
    };
  }
  const path = `${dir}/${IDENTITY_FILE}`;
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
  const date = /"createdAt": "([^"\\\n]+)"\n/.exec(text)?.[1] ?? '';
  const createdAt = Number.isNaN(Date.parse(date)) ? new Date(0).toISOString() : date;
  const identity = { formatVersion: await versionOf(fs, dir), clusterId: name, storeId, createdAt };
  if (clusterId === undefined && key !== undefined && key.identityCrc !== identityCrc(identity)) {
    throw new StoreError(
      'damaged',
      `${path} does not fit its checksum, and so the cluster id in it, "${name}", may be wrong. Give it: --cluster-id ID`,
    );
  }
  return { identity, isDamaged: true, keyProblem: await problemOfIdentity(options, identity), groupKey };
}

async function readWhatItSays({ fs, dir }: InspectOptions): Promise<StoreIdentity | undefined> {
  try {
    return await readIdentityFile(fs, dir);
  } catch (error) {
    // The store of a newer program is not damaged, but unknown.
    if (!(error instanceof StoreError) || error.code === 'newer-version') throw error;
    return undefined;
  }
}

/** The key file, if it is whole. Whether the identity fits it is another question. */
async function salvageKey({ fs, dir }: InspectOptions, storeId: string): Promise<KeyFile | undefined> {
  return await readKeyFile(fs, dir, storeId).catch((error: unknown) => {
    if (error instanceof DamageError) return undefined;
    throw error;
  });
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
