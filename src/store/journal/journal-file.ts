import { writeAll, writeZeros } from '../../files/file-io.js';
import { type FileId, journalName } from '../../files/file-names.js';
import type { StoreFile, StoreFs } from '../../files/fs.js';
import { isNoSpace } from '../../files/store-error.js';
import { encodeFileHeader, FILE_HEADER_BYTES, Magic } from '../format/file-header.js';
import { type Room, takeRoom } from '../room/reserve.js';
import type { JournalBody } from '../types/journal.js';
import type { RandomBytes } from '../types/store-id.js';

/** The smallest journal file: below it a store makes no sense. */
export const MIN_JOURNAL_BYTES = 1024 * 1024;

/** A journal file that is ready to be written: full of zeros, so that a write changes no metadata and finds its room. */
export interface JournalFile {
  readonly id: FileId;
  readonly path: string;
  readonly file: StoreFile;
  readonly salt: number;
  /** Preallocated. */
  readonly bytes: number;
  /** Made of room that was set aside: there is no room for messages in it. */
  readonly isReserve: boolean;
  /** Where the next batch goes. */
  offset: number;
  readonly body: GrowingBody;
}

/** A journal file as others know it who read from it. */
export interface GrowingBody extends JournalBody {
  end: number;
}

export function newBody(id: FileId, path: string, salt: number): GrowingBody {
  return { id, path, salt, end: FILE_HEADER_BYTES };
}

/** So many bytes were written to the file, at its offset. */
export function advance(journal: JournalFile, bytes: number): void {
  journal.offset += bytes;
  journal.body.end = journal.offset;
}

export interface JournalFileOptions {
  fs: StoreFs;
  /** The journal's directory. */
  directory: string;
  storeId: string;
  random: RandomBytes;
}

/**
 * Makes a journal file of `bytes`, or a smaller one if there is no room for that.
 *
 * @param least what it must have
 * @throws the file system's error if there is no room for `least` either; nothing is left behind then
 */
export async function createJournalFile(
  options: JournalFileOptions,
  id: FileId,
  bytes: number,
  least = MIN_JOURNAL_BYTES,
): Promise<JournalFile> {
  for (let size = Math.max(bytes, least); ; size = Math.max(least, Math.floor(size / 4))) {
    try {
      return await allocate(options, id, size);
    } catch (error) {
      if (!isNoSpace(error) || size <= least) throw error;
    }
  }
}

async function allocate(options: JournalFileOptions, id: FileId, bytes: number): Promise<JournalFile> {
  const { fs, directory, storeId } = options;
  const path = `${directory}/${journalName(id)}`;
  const salt = Buffer.from(options.random(4)).readUInt32LE(0);
  const file = await fs.open(path, 'create');
  try {
    try {
      const header = encodeFileHeader(Magic.journal, { ...id, storeId, salt });
      await writeAll(file, header, 0, header.length, 0);
      await writeZeros(file, FILE_HEADER_BYTES, bytes);
    } finally {
      await file.close();
    }
    await fs.syncDirectory(directory);
    const durable = await fs.open(path, 'durable');
    const body = newBody(id, path, salt);
    return { id, path, file: durable, salt, bytes, isReserve: false, offset: FILE_HEADER_BYTES, body };
  } catch (error) {
    await fs.unlink(path).catch(() => {});
    throw error;
  }
}

/** Makes one of room that was set aside, which is full of zeros: no new inode, and no new block. */
export async function useRoom(options: JournalFileOptions, id: FileId, room: Room): Promise<JournalFile> {
  const { fs, directory, storeId } = options;
  const path = `${directory}/${journalName(id)}`;
  await takeRoom(fs, room, path);
  await fs.syncDirectory(directory);
  const salt = Buffer.from(options.random(4)).readUInt32LE(0);
  const file = await fs.open(path, 'durable');
  try {
    const header = encodeFileHeader(Magic.journal, { ...id, storeId, salt });
    await writeAll(file, header, 0, header.length, 0);
  } catch (error) {
    await file.close();
    throw error;
  }
  const body = newBody(id, path, salt);
  return { id, path, file, salt, bytes: room.bytes, isReserve: true, offset: FILE_HEADER_BYTES, body };
}
