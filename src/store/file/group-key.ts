import { readWhole, removeIfThere, writeAll, writeFile } from '../../files/file-io.js';
import type { StoreFs } from '../../files/fs.js';
import { errorCode } from '../../files/fs-error.js';
import { DamageError, damaged, isMissing, isNoSpace } from '../../files/store-error.js';
import { IDENTITY_FILE } from '../../files/store-folder.js';
import { crc32 } from '../../util/crc.js';
import { type Reserve, takeRoom } from '../room/reserve.js';
import type { RandomBytes } from '../types/store-id.js';
import type { StoreIdentity } from './identity.js';

/**
 * The key file, `stanchion.STOREID.key`, lies beside the identity. It has the checksum of the identity, which is a text without one, and the
 * group key, with which the members of a group prove to each other that they have this store. Its name has the store id, since two
 * brokers may make a store of one folder at the same moment: each writes its key first, and the identity that wins has its own.
 */
export interface KeyFile {
  groupKey: Buffer;
  /** Of the identity that belongs to it. */
  identityCrc: number;
}

export const GROUP_KEY_BYTES = 32;
const MISSING = 'the file is missing, and every store has one';

export function keyFileName(storeId: string): string {
  return `stanchion.${storeId}.key`;
}

/** @returns undefined if it is not the name of a key file */
export function storeIdOfKeyFile(name: string): string | undefined {
  return /^stanchion\.([0-9A-Za-z]{22})\.key$/.exec(name)?.[1];
}

/** A key file, perhaps of a broker that was not the first to make the store, or one that is half written. */
export function isKeyFile(name: string): boolean {
  return /^stanchion\.[0-9A-Za-z]{22}\.key(\.[0-9a-f]+\.tmp)?$/.test(name);
}

export function identityCrc({ clusterId, storeId, createdAt }: Omit<StoreIdentity, 'formatVersion'>): number {
  return crcOf([clusterId, storeId, createdAt]);
}

export function encodeKeyFile(storeId: string, { groupKey, identityCrc }: KeyFile): Buffer {
  const key = groupKey.toString('base64url');
  const crc = crcOf([storeId, key, identityCrc]);
  return Buffer.from(`${JSON.stringify({ storeId, groupKey: key, identityCrc, crc }, null, 2)}\n`);
}

/**
 * Reads the group key, and checks the identity against it.
 *
 * @throws DamageError if the one or the other is damaged, or there is no key
 */
export async function readGroupKey(fs: StoreFs, dir: string, identity: StoreIdentity): Promise<Buffer> {
  const name = keyFileName(identity.storeId);
  const key = await readKeyFile(fs, dir, identity.storeId);
  if (key.identityCrc === identityCrc(identity)) return key.groupKey;
  throw damaged(`${dir}/${IDENTITY_FILE}`, 0, `it does not fit its checksum in ${name}`);
}

/** Whether the key file, and the identity by it, are whole. @returns the damage */
export async function groupKeyProblem(
  fs: StoreFs,
  dir: string,
  identity: StoreIdentity,
): Promise<DamageError | undefined> {
  try {
    await readGroupKey(fs, dir, identity);
    return undefined;
  } catch (error) {
    if (error instanceof DamageError) return error;
    throw error;
  }
}

/** Reads the key file. Whether the identity fits it is the caller's to see. @throws DamageError */
export async function readKeyFile(fs: StoreFs, dir: string, storeId: string): Promise<KeyFile> {
  const path = `${dir}/${keyFileName(storeId)}`;
  let text: string;
  try {
    text = (await readWhole(fs, path)).toString('utf8');
  } catch (error) {
    if (isMissing(error)) throw damaged(path, 0, MISSING);
    throw error;
  }
  const key = decodeKeyFile(text, storeId);
  if (key === undefined) throw damaged(path, 0, 'its checksum is wrong');
  return key;
}

/**
 * Makes the key file of a store that has none. One that is there stays: another process was faster, and its key is in use.
 *
 * @param reserve has a file for it, where none can be made
 */
export async function makeKeyFile(
  fs: StoreFs,
  dir: string,
  identity: StoreIdentity,
  random: RandomBytes,
  reserve?: Reserve,
): Promise<void> {
  const path = `${dir}/${keyFileName(identity.storeId)}`;
  const groupKey = Buffer.from(random(GROUP_KEY_BYTES));
  const content = encodeKeyFile(identity.storeId, { groupKey, identityCrc: identityCrc(identity) });
  const temporary = `${path}.${Buffer.from(random(6)).toString('hex')}.tmp`;
  try {
    await writeFile(fs, temporary, content);
  } catch (error) {
    const room = isNoSpace(error) ? await reserve?.take('log') : undefined;
    if (room === undefined) throw error;
    await takeRoom(fs, room, temporary);
    await fillRoom(fs, temporary, content);
  }
  try {
    await fs.link(temporary, path);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  } finally {
    await removeIfThere(fs, temporary);
  }
  // It must not be missing beside an identity that counts on it.
  await fs.syncDirectory(dir);
}

async function fillRoom(fs: StoreFs, path: string, content: Buffer): Promise<void> {
  const file = await fs.open(path, 'write');
  try {
    await writeAll(file, content, 0, content.length, 0);
    await file.truncate(content.length);
    await file.sync();
  } finally {
    await file.close();
  }
}

function decodeKeyFile(text: string, storeId: string): KeyFile | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { groupKey, identityCrc, crc, ...rest } = (value ?? {}) as Record<string, unknown>;
  if (typeof groupKey !== 'string' || typeof identityCrc !== 'number') return undefined;
  if (rest.storeId !== storeId || crc !== crcOf([storeId, groupKey, identityCrc])) return undefined;
  const bytes = Buffer.from(groupKey, 'base64url');
  return bytes.length === GROUP_KEY_BYTES ? { groupKey: bytes, identityCrc } : undefined;
}

/** Of the values alone, so that how they are laid out does not matter. */
function crcOf(values: readonly (string | number)[]): number {
  const bytes = Buffer.from(JSON.stringify(values));
  return crc32(bytes, 0, bytes.length);
}
