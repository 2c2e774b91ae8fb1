import type { StoreFile, StoreFs } from './fs.js';

/** Writes all of `buffer[start, end)`, however many writes it takes. */
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

/** The whole content of a file. */
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
/** A mebibyte of nothing. */
export const ZEROS = Buffer.alloc(PIECE_BYTES);

/** Puts zeros there, synced step by step, so that batches written meanwhile do not wait behind one large sync. */
export async function writeZeros(file: StoreFile, start: number, end: number): Promise<void> {
  for (let at = start; at < end; at += ZEROS.length) {
    await writeAll(file, ZEROS, 0, Math.min(ZEROS.length, end - at), at);
    await file.sync();
  }
}

/**
 * The content of a file up to where nothing but zeros follow, and some of these: the last record may end in zeros. Preallocated room
 * costs no memory then.
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
    // Something may have been written behind a hole. Then all of it counts.
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

/** Makes a file, synced. Nothing is left of it if that fails. */
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

/** Gives `path` this content all at once, durably: a temporary file, synced, renamed, its directory synced. */
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
    await fs.rename(temporary, `${directory}/${name}`);
  } catch (error) {
    // What is half written takes room that may be all there is.
    await removeIfThere(fs, temporary).catch(() => {});
    throw error;
  }
  await fs.syncDirectory(directory);
}

/** The same over a file that is there, which must be as large: it takes no room. */
export async function writeOver(
  fs: StoreFs,
  path: string,
  directory: string,
  name: string,
  parts: readonly Buffer[],
): Promise<void> {
  const file = await fs.open(path, 'write');
  await writeAndClose(file, parts);
  await fs.rename(path, `${directory}/${name}`);
  await fs.syncDirectory(directory);
}

/** From its beginning, durably. */
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

/** A file that someone else has removed is removed. */
export async function removeIfThere(fs: StoreFs, path: string): Promise<void> {
  try {
    await fs.unlink(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
