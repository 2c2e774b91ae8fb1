import type { StoreFile, StoreFs } from '../../files/fs.js';
import { isGone } from '../../files/store-error.js';

/** What a disk gives or refuses as a whole. */
const SECTOR_BYTES = 4096;

/** Reads, with zeros for what the disk refuses to give: no CRC is right over them. Less than asked at the end of the file only. */
export async function readWhatCanBeRead(
  file: Pick<StoreFile, 'read'>,
  position: number,
  bytes: number,
): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.max(0, bytes));
  try {
    return buffer.subarray(0, await file.read(buffer, 0, buffer.length, position));
  } catch (error) {
    if (isGone(error)) throw error;
  }
  let at = 0;
  while (at < buffer.length) {
    const end = Math.min(buffer.length, at + SECTOR_BYTES);
    const count = await file.read(buffer, at, end, position + at).catch((error: unknown) => {
      if (isGone(error)) throw error;
      buffer.fill(0, at, end);
      return end - at;
    });
    if (count === 0) break;
    at += count;
  }
  return buffer.subarray(0, at);
}

/** A whole file, as far as it can be read. */
export async function readFileLeniently(fs: StoreFs, path: string): Promise<Buffer> {
  const file = await fs.open(path, 'read');
  try {
    return await readWhatCanBeRead(file, 0, await file.size());
  } finally {
    await file.close();
  }
}
