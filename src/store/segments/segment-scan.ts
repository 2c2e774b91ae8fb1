import type { StoreFile, StoreFs } from '../../files/fs.js';
import { isGone } from '../../files/store-error.js';
import { readMsgProtoSequence } from '../../protocol/msgproto.js';
import { checkRecord, messageChannelId, msgProtoStart, RecordType, readU32 } from '../format/record.js';
import {
  DIRECTORY_ENTRY_BYTES,
  type DirectoryEntry,
  decodeFooter,
  FOOTER_BYTES,
  FOOTER_MAGIC,
  footerCrcOf,
  isRowWhole,
  ROW_BYTES,
  readDirectoryEntry,
  rowOffset,
  rowSize,
  rowTimestampMs,
  type SegmentFile,
} from '../format/segment-format.js';

const READ_BYTES = 1024 * 1024;
/** What a disk gives or refuses as a whole. */
const SECTOR_BYTES = 4096;

/** Messages of an extent that cannot be read, one behind the other. */
export interface ExtentDamage {
  first: number;
  last: number;
  /** In the file, of the first. */
  offset: number;
  what: string;
}

export interface ExtentScan {
  /** That are whole. */
  messages: number;
  damages: ExtentDamage[];
  /** Rows that are not whole or say what is not so, of messages that can be read all the same. */
  badRows: ExtentDamage[];
}

/**
 * Gets each whole message: its record lies in `buffer[start, end)`, which is valid until the promise ends. `timestampMs` is what its row
 * says, or one before it; undefined if none is whole.
 */
export type OnMessage = (
  buffer: Buffer,
  start: number,
  end: number,
  sequence: number,
  timestampMs: number | undefined,
) => void | Promise<void>;

/**
 * Reads an extent message by message, past whatever is damaged in it. A message is found behind the one before, or where its row says;
 * it counts if its CRC, channel and sequence are right, so either way will do.
 */
export async function scanExtent(
  file: StoreFile,
  entry: DirectoryEntry,
  onMessage: OnMessage = () => {},
): Promise<ExtentScan> {
  const scan: ExtentScan = { messages: 0, damages: [], badRows: [] };
  const records = new RecordReader(file, entry.offset, entry.bytes);
  const rowsAt = entry.offset + entry.bytes;
  const rows = await readWhatCanBeRead(file, rowsAt, entry.count * ROW_BYTES);
  let timestampMs: number | undefined;
  /** Where the next record is due; -1 if nothing shows it. */
  let due = 0;
  for (let i = 0; i < entry.count; i++) {
    const sequence = entry.firstSequence + i;
    const row = i * ROW_BYTES;
    const isWhole = row + ROW_BYTES <= rows.length && isRowWhole(rows, row);
    if (isWhole) timestampMs = rowTimestampMs(rows, row);
    const isMessage = (start: number, end: number): boolean =>
      records.buffer[start + 8] === RecordType.message &&
      messageChannelId(records.buffer, start) === entry.channelId &&
      readMsgProtoSequence(records.buffer, msgProtoStart(records.buffer, start), end) === sequence;
    let at = due;
    let place = await records.at(at);
    let isFound = place !== undefined && isMessage(place.start, place.end);
    const isOther = place !== undefined && !isFound;
    if (!isFound && isWhole && rowOffset(rows, row) !== due) {
      at = rowOffset(rows, row);
      place = await records.at(at);
      isFound = place !== undefined && isMessage(place.start, place.end);
    }
    if (place === undefined || !isFound) {
      const offset = entry.offset + Math.max(0, isWhole ? rowOffset(rows, row) : due);
      const what = isOther
        ? `message ${sequence} of channel ${entry.channelId} is due here`
        : `message ${sequence} is not whole`;
      extend(scan.damages, sequence, offset, what);
      // If its length is right, the next one lies behind it; whether it does shows in that one's own record.
      due = at < 0 ? -1 : await records.supposedEnd(at);
      continue;
    }
    due = at + place.end - place.start;
    scan.messages++;
    const size = place.end - msgProtoStart(records.buffer, place.start);
    if (!isWhole || rowOffset(rows, row) !== at || rowSize(rows, row) !== size) {
      extend(scan.badRows, sequence, rowsAt + row, 'a row of the index is not whole');
    }
    await onMessage(records.buffer, place.start, place.end, sequence, timestampMs);
  }
  return scan;
}

function extend(ranges: ExtentDamage[], sequence: number, offset: number, what: string): void {
  const newest = ranges.at(-1);
  if (newest !== undefined && newest.last === sequence - 1) newest.last = sequence;
  else ranges.push({ first: sequence, last: sequence, offset, what });
}

/** The records of an extent, through a window. */
class RecordReader {
  buffer: Buffer = Buffer.alloc(0);
  #at = 0;
  readonly #file: StoreFile;
  readonly #offset: number;
  readonly #bytes: number;

  constructor(file: StoreFile, offset: number, bytes: number) {
    this.#file = file;
    this.#offset = offset;
    this.#bytes = bytes;
  }

  /** Where in `buffer` the record that begins at this byte of the extent lies; undefined if there is no whole one. */
  async at(at: number): Promise<{ start: number; end: number } | undefined> {
    if (at < 0 || at + 8 > this.#bytes) return undefined;
    const until = await this.supposedEnd(at);
    if (until < 0) return undefined;
    if (until - this.#at > this.buffer.length) await this.#read(at, Math.max(READ_BYTES, until - at));
    const start = at - this.#at;
    const end = checkRecord(this.buffer, start, this.buffer.length);
    return end < 0 ? undefined : { start, end };
  }

  /** Where a record ends if its length is right; -1 if it cannot be. */
  async supposedEnd(at: number): Promise<number> {
    let start = at - this.#at;
    if (start < 0 || start + 8 > this.buffer.length) {
      await this.#read(at, READ_BYTES);
      start = 0;
    }
    if (start + 8 > this.buffer.length) return -1;
    const end = at + 8 + readU32(this.buffer, start);
    return end > this.#bytes ? -1 : end;
  }

  async #read(at: number, wanted: number): Promise<void> {
    this.buffer = await readWhatCanBeRead(this.#file, this.#offset + at, Math.min(wanted, this.#bytes - at));
    this.#at = at;
  }
}

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

/** What a segment says of itself. */
export interface SegmentDirectory {
  /** Those that are whole. */
  entries: DirectoryEntry[];
  /** The offset in the file of the first entry that is not whole; undefined if all are. */
  damagedAt: number | undefined;
  /** Bytes behind the footer: something else has appended them. */
  foreignBytes: number;
  /** The file without them. */
  file: SegmentFile;
}

/** @returns undefined if there is no whole footer */
export async function readSegmentDirectory(
  file: Pick<StoreFile, 'read'>,
  fileBytes: number,
): Promise<SegmentDirectory | undefined> {
  const found = await findFooter(file, fileBytes);
  if (found === undefined) return undefined;
  const { at, extents, directoryOffset, footerCrc } = found;
  const directory = await readWhatCanBeRead(file, directoryOffset, extents * DIRECTORY_ENTRY_BYTES);
  const entries: DirectoryEntry[] = [];
  let damagedAt: number | undefined;
  for (let i = 0; i < extents; i++) {
    const start = i * DIRECTORY_ENTRY_BYTES;
    const entry =
      start + DIRECTORY_ENTRY_BYTES <= directory.length ? readDirectoryEntry(directory, start) : undefined;
    if (entry === undefined) damagedAt ??= directoryOffset + start;
    else entries.push(entry);
  }
  const bytes = at + FOOTER_BYTES;
  return { entries, damagedAt, foreignBytes: fileBytes - bytes, file: { bytes, footerCrc } };
}

interface FoundFooter {
  at: number;
  extents: number;
  directoryOffset: number;
  footerCrc: number;
}

/** It is at the end, unless something was appended: then it is the last one whose directory lies right before it. */
async function findFooter(
  file: Pick<StoreFile, 'read'>,
  fileBytes: number,
): Promise<FoundFooter | undefined> {
  for (let end = fileBytes; end >= FOOTER_BYTES; ) {
    const start = Math.max(0, end - READ_BYTES);
    const piece = await readWhatCanBeRead(file, start, end - start);
    let magic = piece.lastIndexOf(FOOTER_MAGIC, undefined, 'latin1');
    while (magic >= 0) {
      const from = magic - FOOTER_MAGIC_AT;
      const bytes = piece.subarray(Math.max(0, from), from + FOOTER_BYTES);
      const footer = from < 0 ? undefined : decodeFooter(bytes);
      const at = start + from;
      if (footer !== undefined && footer.directoryOffset + footer.extents * DIRECTORY_ENTRY_BYTES === at) {
        return { at, ...footer, footerCrc: footerCrcOf(bytes) };
      }
      magic = magic === 0 ? -1 : piece.lastIndexOf(FOOTER_MAGIC, magic - 1, 'latin1');
    }
    if (start === 0) return undefined;
    // One that lies across the border is whole in the next piece.
    end = start + FOOTER_BYTES - 1;
  }
  return undefined;
}

const FOOTER_MAGIC_AT = 12;
