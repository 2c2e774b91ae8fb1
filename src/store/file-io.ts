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
    const status = await fs.status(path);
    const buffer = Buffer.allocUnsafeSlow(status?.bytes ?? 0);
    const bytes = await file.read(buffer, 0, buffer.length, 0);
    return buffer.subarray(0, bytes);
  } finally {
    await file.close();
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
    await fs.rename(temporary, `${directory}/${name}`);
  } catch (error) {
    // What is half written takes room that may be all there is.
    await removeIfThere(fs, temporary).catch(() => {});
    throw error;
  }
  await fs.syncDirectory(directory);
}

/** A file that someone else has removed is removed. */
export async function removeIfThere(fs: StoreFs, path: string): Promise<void> {
  try {
    await fs.unlink(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
