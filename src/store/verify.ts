import { readMsgProtoSequence } from '../protocol/msgproto.js';
import { decodeCheckpoint } from './checkpoint-format.js';
import { DamageError, damaged, isGone, StoreError } from './errors.js';
import { decodeFileHeader, FILE_HEADER_BYTES, Magic } from './file-header.js';
import { readUsed, readWhole } from './file-io.js';
import type { StoreFile, StoreFs } from './fs.js';
import { type InspectOptions, listFiles, recoverReadOnly, requireIdentity } from './inspect.js';
import { openJournalContent, scanJournal } from './journal-reader.js';
import { checkRecord, messageChannelId, msgProtoStart, RecordType, readU32 } from './record.js';
import type { Recovery } from './recovery.js';
import { Reign } from './reign.js';
import {
  DIRECTORY_ENTRY_BYTES,
  type DirectoryEntry,
  decodeFooter,
  FOOTER_BYTES,
  isRowWhole,
  ROW_BYTES,
  readDirectoryEntry,
  rowOffset,
  rowSize,
} from './segment-format.js';

export interface StoreVerification {
  files: number;
  bytes: number;
  /** Messages in segments whose CRC was checked. */
  messages: number;
  /** Each the first of its file or extent; empty if all is well. A path that is empty: of no single file. */
  damages: { path: string; offset: number; what: string }[];
  /** What is no damage: torn tails, files that a crash left half written. */
  notes: string[];
}

const READ_BYTES = 1024 * 1024;

/**
 * Checks every CRC of every file, and that what the newest state refers to is there. Changes nothing; a broker may have
 * the store meanwhile: what it removes during the check is left out.
 *
 * @throws StoreError if there is no store, or it is of a newer version
 */
export async function storeVerify(options: InspectOptions): Promise<StoreVerification> {
  const { fs, dir } = options;
  const { storeId } = await requireIdentity(options);
  const result: StoreVerification = { files: 0, bytes: 0, messages: 0, damages: [], notes: [] };
  const check = async (bytes: number, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      if (isGone(error)) return;
      note(result, error);
    }
    result.files++;
    result.bytes += bytes;
  };
  const recovery = await recoverReadOnly(options, await requireIdentity(options), result.notes).catch(
    (error: unknown) => {
      note(result, error);
      return undefined;
    },
  );
  // A reign that is gone altogether is made anew; one without its file keeps brokers from starting.
  await new Reign(fs, dir).read().catch((error: unknown) => {
    if (!isGone(error)) note(result, error);
  });
  const [journals, segments, checkpoints] = await listFiles(fs, dir);
  for (const { path, bytes } of checkpoints) {
    await check(bytes, async () => {
      decodeCheckpoint(path, await readWhole(fs, path), storeId);
    });
  }
  for (const { path, bytes } of journals) {
    await check(bytes, async () => {
      const content = openJournalContent(path, await readUsed(fs, path), storeId);
      if (content === undefined) result.notes.push(`${path} was never used`);
      else scanJournal(content, 0, 0, undefined, () => {});
    });
  }
  const directories = new Map<string, DirectoryEntry[]>();
  for (const { path, bytes } of segments) {
    await check(bytes, async () => {
      const isNamed =
        recovery === undefined || [...recovery.state.segments].some((segment) => segment.path === path);
      const file = await fs.open(path, 'read');
      try {
        directories.set(path, await checkSegment(file, path, bytes, storeId, isNamed, result));
      } finally {
        await file.close();
      }
    });
  }
  if (recovery === undefined) return result;
  const missing = await crossCheck(fs, recovery, directories, result);
  if (missing.size === 0) return result;
  // A broker at work may have merged them away since the state was read.
  const { state } = await recoverReadOnly(options, await requireIdentity(options), []);
  for (const { path } of state.segments) {
    if (missing.has(path)) note(result, damaged(path, 0, 'the file is missing'));
  }
  return result;
}

function note(result: StoreVerification, error: unknown): void {
  if (!(error instanceof DamageError)) {
    if (!(error instanceof StoreError)) throw error;
    result.damages.push({ path: '', offset: 0, what: error.message });
    return;
  }
  const { path, offset, what } = error;
  if (result.damages.some((other) => other.path === path && other.offset === offset)) return;
  result.damages.push({ path, offset, what });
}

async function checkSegment(
  file: StoreFile,
  path: string,
  bytes: number,
  storeId: string,
  isNamed: boolean,
  result: StoreVerification,
): Promise<DirectoryEntry[]> {
  const header = await read(file, 0, FILE_HEADER_BYTES);
  const footer = decodeFooter(await read(file, Math.max(0, bytes - FOOTER_BYTES), FOOTER_BYTES));
  if (decodeFileHeader(Magic.segment, header, path, storeId) === undefined || footer === undefined) {
    if (isNamed) throw damaged(path, footer === undefined ? bytes : 0, 'its header or footer is not whole');
    result.notes.push(`${path} is not finished: it is being written, or a crash left it`);
    return [];
  }
  const directory = await read(file, footer.directoryOffset, footer.extents * DIRECTORY_ENTRY_BYTES);
  const entries: DirectoryEntry[] = [];
  for (let i = 0; i < footer.extents; i++) {
    const entry = readDirectoryEntry(directory, i * DIRECTORY_ENTRY_BYTES);
    if (entry === undefined) {
      throw damaged(
        path,
        footer.directoryOffset + i * DIRECTORY_ENTRY_BYTES,
        'an entry of the directory is not whole',
      );
    }
    entries.push(entry);
    try {
      await checkExtent(file, path, entry, result);
    } catch (error) {
      note(result, error);
    }
  }
  return entries;
}

async function checkExtent(
  file: StoreFile,
  path: string,
  entry: DirectoryEntry,
  result: StoreVerification,
): Promise<void> {
  const rowsAt = entry.offset + entry.bytes;
  const rows = await read(file, rowsAt, entry.count * ROW_BYTES);
  let buffer: Buffer = Buffer.alloc(0);
  let bufferAt = 0;
  let offset = 0;
  for (let i = 0; i < entry.count; i++) {
    const row = i * ROW_BYTES;
    if (row + ROW_BYTES > rows.length || !isRowWhole(rows, row)) {
      throw damaged(path, rowsAt + row, 'a row of the index is not whole');
    }
    const sequence = entry.firstSequence + i;
    let pos = offset - bufferAt;
    let end = checkRecord(buffer, pos, buffer.length);
    if (end < 0) {
      const wanted = Math.min(
        entry.bytes - offset,
        Math.max(READ_BYTES, await recordBytes(file, entry.offset + offset)),
      );
      buffer = await read(file, entry.offset + offset, wanted);
      bufferAt = offset;
      pos = 0;
      end = checkRecord(buffer, 0, buffer.length);
    }
    if (end < 0) throw damaged(path, entry.offset + offset, `message ${sequence} is not whole`);
    const start = msgProtoStart(buffer, pos);
    if (
      buffer[pos + 8] !== RecordType.message ||
      messageChannelId(buffer, pos) !== entry.channelId ||
      readMsgProtoSequence(buffer, start, end) !== sequence ||
      rowOffset(rows, row) !== offset ||
      rowSize(rows, row) !== end - start
    ) {
      throw damaged(
        path,
        entry.offset + offset,
        `message ${sequence} of channel ${entry.channelId} is due here`,
      );
    }
    offset += end - pos;
    result.messages++;
  }
  if (offset !== entry.bytes)
    throw damaged(path, entry.offset + offset, 'the extent is longer than its messages');
}

async function recordBytes(file: StoreFile, at: number): Promise<number> {
  const header = await read(file, at, 8);
  return header.length < 8 ? 0 : 8 + readU32(header, 0);
}

async function read(file: StoreFile, position: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(bytes);
  return buffer.subarray(0, await file.read(buffer, 0, bytes, position));
}

/** What the channels refer to is in the segments, and leaves no gap. @returns segments that are not there */
async function crossCheck(
  fs: StoreFs,
  { state }: Recovery,
  directories: ReadonlyMap<string, readonly DirectoryEntry[]>,
  result: StoreVerification,
): Promise<Set<string>> {
  const missing = new Set<string>();
  for (const log of state.logs.values()) {
    let next = log.extents[0]?.first ?? log.flushedThrough + 1;
    if (log.messageCount > 0 && next > log.firstSequence) {
      result.damages.push({
        path: '',
        offset: 0,
        what: `channel ${log.name}: no file holds message ${log.firstSequence}`,
      });
    }
    for (const { segment, first, last, offset, recordBytes: bytes } of log.extents) {
      if (first !== next) {
        result.damages.push({
          path: '',
          offset: 0,
          what: `channel ${log.name}: no file holds message ${next}`,
        });
      }
      next = last + 1;
      const entries = directories.get(segment.path);
      if (entries === undefined) {
        if ((await fs.status(segment.path)) === undefined) missing.add(segment.path);
        continue;
      }
      const isListed = entries.some(
        (entry) =>
          entry.channelId === log.id &&
          entry.firstSequence === first &&
          entry.offset === offset &&
          entry.bytes === bytes,
      );
      if (!isListed)
        note(
          result,
          damaged(segment.path, offset, `messages ${first} to ${last} of channel ${log.name} are due here`),
        );
    }
  }
  return missing;
}
