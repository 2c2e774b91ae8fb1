import { removeIfThere, renameOwn, writeAll, writeZeros } from '../../files/file-io.js';
import { type FileId, journalName } from '../../files/file-names.js';
import type { StoreFile, StoreFs } from '../../files/fs.js';
import { isMissing, isNoSpace } from '../../files/store-error.js';
import { type JournalLife, newLife } from '../format/batch-format.js';
import { encodeFileHeader, FILE_HEADER_BYTES, Magic } from '../format/file-header.js';
import { canTryAgain } from '../room/no-room.js';
import { type Reserve, type Room, takeRoom } from '../room/reserve.js';
import type { JournalBody } from '../types/journal.js';
import type { RandomBytes } from '../types/store-id.js';

/** The smallest journal file: below it a store makes no sense. */
export const MIN_JOURNAL_BYTES = 1024 * 1024;

/** So much of a growing file is made of zeros whenever a small batch is to be written where nothing is yet. */
export const FILLED_AT_ONCE_BYTES = 128 * 1024;
/** And so much when it is made: the block that its header is in. Large batches need no zeros, and which ones will come is not known yet. */
const FILLED_AT_FIRST_BYTES = 4 * 1024;

/** A journal file that is ready to be written. A write into what is filled changes no metadata and finds its room. */
export interface JournalFile {
  readonly id: FileId;
  readonly path: string;
  readonly file: StoreFile;
  readonly life: JournalLife;
  /** What it may have at most, but for what must all go into one file. */
  bytes: number;
  /** Up to here it has its blocks: zeros, what an earlier life has left, or batches. */
  filled: number;
  /** What lies behind `filled` gets its blocks with the batches: room for them is set aside in the reserve. */
  readonly isGrowing: boolean;
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

/** A file gets its name when its header is whole and durable. Until then it is called like this, and means nothing. */
export function temporaryPath(path: string): string {
  return `${path}.tmp`;
}

/** So many bytes were written to the file, at its offset. */
export function advance(journal: JournalFile, bytes: number): void {
  journal.offset += bytes;
  journal.filled = Math.max(journal.filled, journal.offset);
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

/**
 * Makes a journal file that grows with the batches, so that each byte is written once. The caller has room set aside for `bytes`.
 *
 * @throws the file system's error if there is no room for its first part
 */
export function createGrowingFile(
  options: JournalFileOptions,
  id: FileId,
  bytes: number,
): Promise<JournalFile> {
  return allocate(options, id, bytes, Math.min(bytes, FILLED_AT_FIRST_BYTES));
}

async function allocate(
  options: JournalFileOptions,
  id: FileId,
  bytes: number,
  filled = bytes,
): Promise<JournalFile> {
  const { fs, directory } = options;
  const path = `${directory}/${journalName(id)}`;
  const temporary = temporaryPath(path);
  const life = beginLife(options, id, false);
  const file = await fs.open(temporary, 'create');
  try {
    try {
      await writeHeader(options, file, life);
      await writeZeros(file, FILE_HEADER_BYTES, filled);
    } finally {
      await file.close();
    }
    await renameOwn(fs, temporary, path);
    await fs.syncDirectory(directory);
    return opened(await fs.open(path, 'durable'), path, life, { bytes, filled, isReserve: false });
  } catch (error) {
    for (const name of [temporary, path]) await removeIfThere(fs, name).catch(() => {});
    throw error;
  }
}

/** Makes one of room that was set aside, which is full of zeros: no new inode, and no new block. The room is given back if that fails for want of something. */
export async function useRoom(
  options: JournalFileOptions,
  reserve: Reserve,
  id: FileId,
  room: Room,
): Promise<JournalFile> {
  const { fs, directory } = options;
  const path = `${directory}/${journalName(id)}`;
  const temporary = temporaryPath(path);
  try {
    await takeRoom(fs, room, temporary);
    const life = beginLife(options, id, false);
    const file = await fs.open(temporary, 'durable');
    try {
      await writeHeader(options, file, life);
      await renameOwn(fs, temporary, path);
      await fs.syncDirectory(directory);
    } catch (error) {
      await file.close();
      throw error;
    }
    return opened(file, path, life, { bytes: room.bytes, filled: room.bytes, isReserve: true });
  } catch (error) {
    if (canTryAgain(error)) for (const name of [temporary, path]) await reserve.give('log', name);
    throw error;
  }
}

/** A file of this term that no checkpoint needs any more. It has blocks, and what its last life has left. */
export interface SpareFile {
  path: string;
  /** It has so many at least. */
  bytes: number;
}

/**
 * Makes one of a spare file: no new inode, no new block, and nothing to fill. Only this term has ever written to it: into one of an older term
 * its former writer may still write.
 *
 * @param bytes what it may grow to, if room for that is set aside; else it is used up to what it has
 * @returns undefined if the file is gone: a successor, of which this term does not know yet, has removed it
 */
export async function recycleJournalFile(
  options: JournalFileOptions,
  id: FileId,
  spare: SpareFile,
  bytes = spare.bytes,
): Promise<JournalFile | undefined> {
  const { fs, directory } = options;
  const path = `${directory}/${journalName(id)}`;
  const temporary = temporaryPath(path);
  try {
    try {
      await renameOwn(fs, spare.path, temporary);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    // A power cut must not bring back the former name, with other content than it had.
    await fs.syncDirectory(directory);
    const life = beginLife(options, id, true);
    const file = await fs.open(temporary, 'durable');
    try {
      await writeHeader(options, file, life);
      await renameOwn(fs, temporary, path);
      await fs.syncDirectory(directory);
    } catch (error) {
      await file.close();
      throw error;
    }
    return opened(file, path, life, {
      bytes: Math.max(bytes, spare.bytes),
      filled: spare.bytes,
      isReserve: false,
    });
  } catch (error) {
    for (const name of [temporary, path]) await removeIfThere(fs, name).catch(() => {});
    throw error;
  }
}

function beginLife({ random }: JournalFileOptions, id: FileId, isRecycled: boolean): JournalLife {
  return newLife(id, Buffer.from(random(4)).readUInt32LE(0), isRecycled);
}

async function writeHeader(
  { storeId }: JournalFileOptions,
  file: StoreFile,
  life: JournalLife,
): Promise<void> {
  const header = encodeFileHeader(Magic.journal, { ...life, storeId });
  await writeAll(file, header, 0, header.length, 0);
}

function opened(
  file: StoreFile,
  path: string,
  life: JournalLife,
  room: Pick<JournalFile, 'bytes' | 'filled' | 'isReserve'>,
): JournalFile {
  const id = { epoch: life.epoch, number: life.number };
  const body = newBody(id, path, life.salt);
  const isGrowing = room.filled < room.bytes;
  return { ...room, id, path, file, life, isGrowing, offset: FILE_HEADER_BYTES, body };
}
