import { readWhole, removeIfThere, syncParents, writeFile } from '../../files/file-io.js';
import type { StoreFs } from '../../files/fs.js';
import { errorCode } from '../../files/fs-error.js';
import { isSelfTestFile } from '../../files/self-test.js';
import { type DamageError, damaged, isMissing, StoreError } from '../../files/store-error.js';
import {
  CHECKPOINT_DIRECTORY,
  IDENTITY_FILE,
  IMPORTING_FILE,
  JOURNAL_DIRECTORY,
  LEASE_DIRECTORY,
  RESERVE_DIRECTORY,
  SEGMENT_DIRECTORY,
} from '../../files/store-folder.js';
import { COPYING_VERSION, FORMER_LEASE_DIRECTORY, FORMER_VERSION } from '../../lease/carry-over.js';
import { parseLeaseFileName } from '../../lease/lease-state.js';
import { decodeFormerSubjects, encodeFormerSubjects } from '../format/former-subjects.js';
import type { FormerSubjects } from '../types/store.js';
import { newStoreId, type RandomBytes } from '../types/store-id.js';
import { isKeyFile, keyFileName, makeKeyFile, readGroupKey } from './group-key.js';

/**
 * Version of the store as a whole: what lies where. Since 4, messages may stay in the journal file that they were written to; since 3, the
 * lease lies in `lease/`, and the identity has a key file beside it. A store of an older version, also of 1, as release 0.1.0 made it, is carried over by
 * the first term that opens it (carry-over.ts). The binary files in it have versions of their own.
 */
export const STORE_VERSION = 4;
const KNOWN_VERSIONS: readonly number[] = [FORMER_VERSION, COPYING_VERSION, STORE_VERSION];

/** What `stanchion.json` says: whose store this is. Written once; only the version is raised. */
export interface StoreIdentity {
  formatVersion: number;
  clusterId: string;
  storeId: string;
  /** ISO 8601. */
  createdAt: string;
  /** Of an imported store whose clients send to subjects of the former server. */
  formerSubjects?: FormerSubjects | undefined;
}

/** The identity, and what lies in the key file beside it. */
export interface OpenedIdentity extends StoreIdentity {
  /** Known to those alone who can read the store. undefined as long as the store is as release 0.1.0 made it. */
  groupKey: Buffer | undefined;
}

export interface IdentityOptions {
  fs: StoreFs;
  dir: string;
  clusterId: string;
  clock: { wallNs(): bigint };
  random: RandomBytes;
  /** Called when this call has made the store. */
  onMade?: ((storeId: string) => void) | undefined;
  /** What `checkIdentity` has found a moment before. */
  found?: OpenedIdentity | undefined;
}

/** What may lie in a directory that is to become a store: a mount point's own, and what claiming the lease leaves. */
const HARMLESS = new Set(['lost+found', LEASE_DIRECTORY, FORMER_LEASE_DIRECTORY]);

/**
 * Reads the identity, or makes a new store of an empty or missing directory. Changes nothing if it refuses. A caller that is
 * second finds what the first one made, whatever it saw before: a mount may remember that there was nothing.
 *
 * @throws StoreError `wrong-cluster`, `newer-version`, `foreign` or `damaged`
 */
export async function openIdentity(options: IdentityOptions): Promise<OpenedIdentity> {
  const { fs, dir, clusterId, random } = options;
  const found = options.found ?? (await checkIdentity(fs, dir, clusterId));
  if (found !== undefined) return found;
  await fs.makeDirectory(dir);
  // Before the identity, which ends the making of a store: what comes later is never done again.
  await syncParents(fs, dir);
  const identity: StoreIdentity = {
    formatVersion: STORE_VERSION,
    clusterId,
    storeId: newStoreId(random),
    createdAt: new Date(Number(options.clock.wallNs() / 1_000_000n)).toISOString(),
  };
  await makeKeyFile(fs, dir, identity, random);
  const temporary = `${dir}/${IDENTITY_FILE}.${identity.storeId}.tmp`;
  await writeFile(fs, temporary, encodeIdentity(identity));
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
  if (made.storeId === identity.storeId) options.onMade?.(identity.storeId);
  else await removeIfThere(fs, `${dir}/${keyFileName(identity.storeId)}`);
  return made;
}

export function encodeIdentity(identity: StoreIdentity): Buffer {
  const { formatVersion, clusterId, storeId, createdAt, formerSubjects } = identity;
  const former = formerSubjects === undefined ? {} : { formerSubjects: encodeFormerSubjects(formerSubjects) };
  return Buffer.from(
    `${JSON.stringify({ formatVersion, clusterId, storeId, createdAt, ...former }, null, 2)}\n`,
  );
}

/**
 * Looks whether a directory is this cluster's store, or can become one. Changes nothing.
 *
 * @returns undefined if it can become one
 * @throws StoreError `wrong-cluster`, `newer-version`, `foreign` or `damaged`
 */
export async function checkIdentity(
  fs: StoreFs,
  dir: string,
  clusterId: string,
): Promise<OpenedIdentity | undefined> {
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
  const gone = goneIdentity(dir, names);
  if (gone !== undefined) throw gone;
  if (names.includes(LEASE_DIRECTORY) && (await hasServed(fs, dir)))
    throw damaged(
      `${dir}/${IDENTITY_FILE}`,
      0,
      'the file is missing, and the lease says that brokers have served from a store here',
    );
  const foreign = names.filter((name) => !isHarmless(name));
  if (foreign.length === 0) return undefined;
  if (GO_STORE_FILES.every((name) => foreign.includes(name)))
    throw new StoreError(
      'foreign',
      `${dir} is the file store of a Go server. Bring it along into another folder, and give that: \`stanchion import --from ${dir} --dir NEW\`, see docs/migrate.md`,
    );
  throw new StoreError(
    'foreign',
    `${dir} is not a stanchion store, and not empty either (${foreign.slice(0, 3).join(', ')}). Give an empty or new directory`,
  );
}

/** What every file store of the Go server has. */
const GO_STORE_FILES = ['server.dat', 'clients.dat'];

/** Whether a term of a store was ever served in: what claims the lease for the first time leaves a lease too, and says nothing of the kind. */
async function hasServed(fs: StoreFs, dir: string): Promise<boolean> {
  const names = await fs.list(`${dir}/${LEASE_DIRECTORY}`).catch((error: unknown) => {
    if (isMissing(error) || errorCode(error) === 'ENOTDIR') return [];
    throw error;
  });
  return names.some((name) => (parseLeaseFileName(name)?.servedEpoch ?? 0) > 0);
}

function isHarmless(name: string): boolean {
  if (HARMLESS.has(name) || isSelfTestFile(name)) return true;
  if (name.startsWith(`${LEASE_DIRECTORY}.`) || name.startsWith(`${FORMER_LEASE_DIRECTORY}.`)) return true;
  return (name.startsWith(`${IDENTITY_FILE}.`) && name.endsWith('.tmp')) || isKeyFile(name);
}

/** @returns undefined if there is none. @throws StoreError if it or its key cannot be read or is damaged, or it is of a newer version */
export async function readIdentity(fs: StoreFs, dir: string): Promise<OpenedIdentity | undefined> {
  const identity = await readIdentityFile(fs, dir);
  if (identity === undefined) return undefined;
  // Only the last step of carrying a store over says that the key counts. Before that, a mount would remember that there is none.
  if (identity.formatVersion === FORMER_VERSION) {
    const problem = await formerProblem(fs, dir, identity);
    if (problem !== undefined) throw problem;
    return { ...identity, groupKey: undefined };
  }
  return { ...identity, groupKey: await readGroupKey(fs, dir, identity) };
}

/** A store of the former version has the folder of the former lease, also when the key is made. @returns the damage of one that has not */
export async function formerProblem(
  fs: StoreFs,
  dir: string,
  { storeId }: StoreIdentity,
): Promise<DamageError | undefined> {
  if ((await fs.status(`${dir}/${FORMER_LEASE_DIRECTORY}`)) !== undefined) return undefined;
  if ((await fs.status(`${dir}/${keyFileName(storeId)}`)) === undefined) return undefined;
  return damaged(
    `${dir}/${IDENTITY_FILE}`,
    0,
    `it says version ${FORMER_VERSION}, and the files beside it are of a newer one`,
  );
}

/** As `readIdentity`, without the key: what the file says may be wrong. */
export async function readIdentityFile(fs: StoreFs, dir: string): Promise<StoreIdentity | undefined> {
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
  if (!KNOWN_VERSIONS.includes(identity.formatVersion)) throw notAnIdentity(path);
  const { formatVersion, clusterId, storeId, createdAt } = identity;
  if (typeof clusterId !== 'string' || typeof createdAt !== 'string') throw notAnIdentity(path);
  if (typeof storeId !== 'string' || !/^[0-9A-Za-z]{22}$/.test(storeId)) throw notAnIdentity(path);
  const formerSubjects = decodeFormerSubjects(identity.formerSubjects);
  return {
    formatVersion,
    clusterId,
    storeId,
    createdAt,
    ...(formerSubjects === undefined ? {} : { formerSubjects }),
  };
}

function notAnIdentity(path: string): StoreError {
  return damaged(path, 0, 'it is not the identity of a stanchion store');
}

/**
 * What is wrong with a folder without an identity that is a store all the same, and not one of another program that has names like these: its
 * identity is gone, or an import has not come to its end.
 */
export function goneIdentity(dir: string, names: readonly string[]): StoreError | undefined {
  if (names.includes(IMPORTING_FILE)) return unfinishedImport(dir);
  const hasContent = CONTENT.some((name) => names.includes(name));
  const isStore = hasContent && names.some((name) => isKeyFile(name) || LEASES.includes(name));
  return isStore ? damaged(`${dir}/${IDENTITY_FILE}`, 0, GONE) : undefined;
}

/** The refusal of a folder in which an import is at work, or was interrupted. Its last step makes the identity. */
export function unfinishedImport(dir: string): StoreError {
  return new StoreError(
    'foreign',
    `${dir} holds the beginning of a store: an import into it has not ended, or was interrupted. If none is at work, run "stanchion import" again with the same ` +
      '--dir: it begins anew. Or remove the folder. Nothing in it is needed: the old server still has all of it',
  );
}

/** Every store that was opened once has these. */
const CONTENT = [JOURNAL_DIRECTORY, SEGMENT_DIRECTORY, CHECKPOINT_DIRECTORY, RESERVE_DIRECTORY];
const LEASES = [LEASE_DIRECTORY, FORMER_LEASE_DIRECTORY];
const GONE = 'the file is missing, and there is a store beside it';
