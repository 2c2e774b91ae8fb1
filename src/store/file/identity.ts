import { readWhole, removeIfThere, writeFile } from '../../files/file-io.js';
import type { StoreFs } from '../../files/fs.js';
import { errorCode } from '../../files/fs-error.js';
import { isSelfTestFile } from '../../files/self-test.js';
import { isMissing, StoreError } from '../../files/store-error.js';
import { IDENTITY_FILE, LEASE_DIRECTORY } from '../../files/store-folder.js';
import { FORMER_LEASE_DIRECTORY } from '../../lease/carry-over.js';
import { newStoreId, type RandomBytes } from '../types/store-id.js';

/**
 * Version of the store as a whole: what lies where. Since 2, the lease lies in `lease/`; a store of 1, as release 0.1.0 made it, is carried over
 * by the first term that opens it (carry-over.ts). The binary files in it have versions of their own.
 */
export const STORE_VERSION = 2;

/** What `stanchion.json` says: whose store this is. Written once; only the version is raised. */
export interface StoreIdentity {
  formatVersion: number;
  clusterId: string;
  storeId: string;
  /** ISO 8601. */
  createdAt: string;
}

export interface IdentityOptions {
  fs: StoreFs;
  dir: string;
  clusterId: string;
  clock: { wallNs(): bigint };
  random: RandomBytes;
}

/** What may lie in a directory that is to become a store: a mount point's own, and what claiming the lease leaves. */
const HARMLESS = new Set(['lost+found', LEASE_DIRECTORY, FORMER_LEASE_DIRECTORY]);

/**
 * Reads the identity, or makes a new store of an empty or missing directory. Changes nothing if it refuses. A caller that is
 * second finds what the first one made, whatever it saw before: a mount may remember that there was nothing.
 *
 * @throws StoreError `wrong-cluster`, `newer-version` or `foreign`
 */
export async function openIdentity(options: IdentityOptions): Promise<StoreIdentity> {
  const { fs, dir, clusterId } = options;
  const found = await checkIdentity(fs, dir, clusterId);
  if (found !== undefined) return found;
  await fs.makeDirectory(dir);
  const identity: StoreIdentity = {
    formatVersion: STORE_VERSION,
    clusterId,
    storeId: newStoreId(options.random),
    createdAt: new Date(Number(options.clock.wallNs() / 1_000_000n)).toISOString(),
  };
  const text = Buffer.from(`${JSON.stringify(identity, null, 2)}\n`);
  const temporary = `${dir}/${IDENTITY_FILE}.${identity.storeId}.tmp`;
  await writeFile(fs, temporary, text);
  try {
    // A rename would replace what another one has made meanwhile.
    await fs.link(temporary, `${dir}/${IDENTITY_FILE}`);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  } finally {
    await removeIfThere(fs, temporary);
  }
  await fs.syncDirectory(dir);
  const made = await checkIdentity(fs, dir, clusterId);
  if (made === undefined) throw notAnIdentity(`${dir}/${IDENTITY_FILE}`);
  return made;
}

/**
 * Looks whether a directory is this cluster's store, or can become one. Changes nothing.
 *
 * @returns undefined if it can become one
 * @throws StoreError `wrong-cluster`, `newer-version` or `foreign`
 */
export async function checkIdentity(
  fs: StoreFs,
  dir: string,
  clusterId: string,
): Promise<StoreIdentity | undefined> {
  const found = await readIdentity(fs, dir);
  if (found !== undefined) {
    if (found.clusterId === clusterId) return found;
    throw new StoreError(
      'wrong-cluster',
      `${dir} holds the store of cluster "${found.clusterId}", not of "${clusterId}". Give --cluster-id ${found.clusterId}, or another --dir`,
    );
  }
  const status = await fs.status(dir);
  if (status === undefined) return undefined;
  if (!status.isDirectory) throw new StoreError('foreign', `${dir} is not a directory. Give another --dir`);
  const names = await fs.list(dir);
  // It was made a moment ago, and this mount remembers that there was none. A process that makes one now finds it by its link.
  if (names.includes(IDENTITY_FILE)) return undefined;
  const foreign = names.filter((name) => !isHarmless(name));
  if (foreign.length === 0) return undefined;
  throw new StoreError(
    'foreign',
    `${dir} is not a stanchion store, and not empty either (${foreign.slice(0, 3).join(', ')}). Give an empty or new directory`,
  );
}

function isHarmless(name: string): boolean {
  if (HARMLESS.has(name) || isSelfTestFile(name)) return true;
  if (name.startsWith(`${LEASE_DIRECTORY}.`) || name.startsWith(`${FORMER_LEASE_DIRECTORY}.`)) return true;
  return name.startsWith(`${IDENTITY_FILE}.`) && name.endsWith('.tmp');
}

/** @returns undefined if there is none. @throws StoreError if it cannot be read, or is of a newer version */
export async function readIdentity(fs: StoreFs, dir: string): Promise<StoreIdentity | undefined> {
  const path = `${dir}/${IDENTITY_FILE}`;
  let value: unknown;
  try {
    value = JSON.parse((await readWhole(fs, path)).toString('utf8'));
  } catch (error) {
    if (isMissing(error) || errorCode(error) === 'ENOTDIR') return undefined;
    if (!(error instanceof SyntaxError)) throw error;
  }
  const identity = value as Partial<StoreIdentity> | undefined;
  if (typeof identity?.formatVersion !== 'number') throw notAnIdentity(path);
  // Before anything else is looked at: a newer version may have other fields.
  if (identity.formatVersion > STORE_VERSION) {
    throw new StoreError(
      'newer-version',
      `${path} has format version ${identity.formatVersion}; this program knows versions up to ${STORE_VERSION}. Use a newer stanchion`,
    );
  }
  const { formatVersion, clusterId, storeId, createdAt } = identity;
  if (typeof clusterId !== 'string' || typeof createdAt !== 'string') throw notAnIdentity(path);
  if (typeof storeId !== 'string' || !/^[0-9A-Za-z]{22}$/.test(storeId)) throw notAnIdentity(path);
  return { formatVersion, clusterId, storeId, createdAt };
}

function notAnIdentity(path: string): StoreError {
  return new StoreError(
    'foreign',
    `${path} is not the identity of a stanchion store, or it is damaged. Restore it from a copy, or give another --dir`,
  );
}
