// Reads and writes of whole files, made of the calls in `StoreFs`.

import { dirname, resolve } from 'node:path';
import type { StoreFile, StoreFs } from './fs.js';
import { errorCode } from './fs-error.js';
import { isMissing } from './store-error.js';

/** Writes all of `buffer[start, end)`, with as many writes as it takes. */
export async function writeAll(
  file: StoreFile,
  buffer: Buffer,
  start: number,
  end: number,
  position: number,
): Promise<void> {
  let at = start;
  while (at < end) {
    const from = at;
    at += await new Promise<number>((resolve, reject) =>
      file.write(buffer, from, end, position + from - start, (error, written) =>
        error === null ? resolve(written) : reject(error),
      ),
    );
  }
}

/** Reads a whole file. */
export async function readWhole(fs: StoreFs, path: string): Promise<Buffer> {
  const file = await fs.open(path, 'read');
  try {
    const buffer = Buffer.allocUnsafeSlow(await file.size());
    const bytes = await file.read(buffer, 0, buffer.length, 0);
    return buffer.subarray(0, bytes);
  } finally {
    await file.close();
  }
}

const PIECE_BYTES = 1024 * 1024;
/** A mebibyte of zeros. */
export const ZEROS = Buffer.alloc(PIECE_BYTES);

/** Writes zeros, and syncs step by step, so that other writes do not wait behind one large sync. */
export async function writeZeros(file: StoreFile, start: number, end: number): Promise<void> {
  for (let at = start; at < end; at += ZEROS.length) {
    await writeAll(file, ZEROS, 0, Math.min(ZEROS.length, end - at), at);
    await file.sync();
  }
}

/**
 * Reads a file up to the point from which there are only zeros, so that preallocated room takes no memory. Some of the zeros are
 * included, since the last record may end in zeros.
 */
export async function readUsed(fs: StoreFs, path: string): Promise<Buffer> {
  const file = await fs.open(path, 'read');
  try {
    const buffer = Buffer.allocUnsafeSlow(await file.size());
    let used = 0;
    let isZero = false;
    while (used < buffer.length && !isZero) {
      const end = Math.min(buffer.length, used + PIECE_BYTES);
      const bytes = await file.read(buffer, used, end, used);
      if (bytes === 0) break;
      isZero = isAllZero(buffer, used, used + bytes);
      used += bytes;
    }
    // Something may have been written behind a hole. Then the whole file counts.
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    for (let at = used; isZero && at < buffer.length; at += PIECE_BYTES) {
      const bytes = await file.read(piece, 0, Math.min(PIECE_BYTES, buffer.length - at), at);
      isZero = isAllZero(piece, 0, bytes);
      if (bytes === 0) break;
    }
    if (!isZero) used += await file.read(buffer, used, buffer.length, used);
    return buffer.subarray(0, used);
  } finally {
    await file.close();
  }
}

function isAllZero(buffer: Buffer, start: number, end: number): boolean {
  return buffer.subarray(start, end).equals(ZEROS.subarray(0, end - start));
}

/** Creates a file, and syncs it. If that fails, the file is removed. */
export async function writeFile(fs: StoreFs, path: string, content: Buffer): Promise<void> {
  try {
    const file = await fs.open(path, 'create');
    try {
      await writeAll(file, content, 0, content.length, 0);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    await removeIfThere(fs, path).catch(() => {});
    throw error;
  }
}

/** Replaces the content of `path` atomically and durably: by a temporary file that is synced and renamed, and a sync of its directory. */
export async function writeAtomically(
  fs: StoreFs,
  directory: string,
  name: string,
  parts: readonly Buffer[],
): Promise<void> {
  const temporary = `${directory}/${name}.tmp`;
  await removeIfThere(fs, temporary);
  try {
    const file = await fs.open(temporary, 'create');
    await writeAndClose(file, parts);
    await renameOwn(fs, temporary, `${directory}/${name}`);
  } catch (error) {
    // A half-written file may take the last free room.
    await removeIfThere(fs, temporary).catch(() => {});
    throw error;
  }
  await fs.syncDirectory(directory);
}

/** Overwrites a file from its beginning, durably. */
async function writeAndClose(file: StoreFile, parts: readonly Buffer[]): Promise<void> {
  try {
    let position = 0;
    for (const part of parts) {
      await writeAll(file, part, 0, part.length, position);
      position += part.length;
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Renames a file that no other process renames or removes. A network file system may do that, lose the answer, and ask again: then the
 * former name is missing, and the new one is there.
 */
export async function renameOwn(fs: StoreFs, from: string, to: string): Promise<void> {
  try {
    await fs.rename(from, to);
  } catch (error) {
    if (!isMissing(error) || (await fs.status(to)) === undefined) throw error;
  }
}

/** Removes a file. It is no error if another process has removed it. */
export async function removeIfThere(fs: StoreFs, path: string): Promise<void> {
  try {
    await fs.unlink(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** The errors of a folder that belongs to another user: this process may not read it, or it cannot be synced. */
const NOT_OURS = new Set(['EACCES', 'EPERM', 'EROFS', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOENT']);

/**
 * Makes durable that a folder is there, up to the root: after a power cut a folder that was made with its parents is gone with all that is
 * in it, unless each of them was synced. All are, since a process may have died between making them and this.
 */
export async function syncParents(fs: StoreFs, path: string): Promise<void> {
  const parents: string[] = [];
  for (let at = resolve(path); dirname(at) !== at; ) {
    at = dirname(at);
    parents.push(at);
  }
  // In any order: they count when all are durable.
  await Promise.all(
    parents.map((parent) =>
      fs.syncDirectory(parent).catch((error: unknown) => {
        if (!NOT_OURS.has(errorCode(error) ?? '')) throw error;
      }),
    ),
  );
}
