import type { StoreFile } from '../../files/fs.js';
import { readMsgProtoSequence } from '../../protocol/msgproto.js';
import { messageChannelId, msgProtoStart, RecordType } from '../format/record.js';
import {
  type DirectoryEntry,
  decodeFooter,
  entryBytesOf,
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
import { readWhatCanBeRead } from './lenient-read.js';
import { BodyRecords, OwnRecords } from './record-source.js';

const READ_BYTES = 1024 * 1024;
/** Messages of an extent that cannot be read, one behind the other. */
export interface ExtentDamage {
  first: number;
  last: number;
  /** Where the first one begins, in the file that has its record. */
  offset: number;
  what: string;
}

export interface ExtentScan {
  /** How many messages are whole. */
  messages: number;
  /** Records that are damaged. Where they stay in a body, offsets are of the body's file. */
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
 *
 * @param file the segment's; undefined if it is gone: then there are no rows
 * @param body the whole journal file that the records are in, if the extent does not have them
 */
export async function scanExtent(
  file: StoreFile | undefined,
  entry: DirectoryEntry,
  onMessage: OnMessage = () => {},
  body?: Buffer,
): Promise<ExtentScan> {
  const scan: ExtentScan = { messages: 0, damages: [], badRows: [] };
  const isInBody = entry.body !== undefined;
  const records =
    isInBody || file === undefined
      ? new BodyRecords(body ?? Buffer.alloc(0))
      : new OwnRecords(file, entry.offset, entry.bytes);
  const base = isInBody ? 0 : entry.offset;
  const rowsAt = isInBody ? entry.offset : entry.offset + entry.bytes;
  const rows =
    file === undefined ? Buffer.alloc(0) : await readWhatCanBeRead(file, rowsAt, entry.count * ROW_BYTES);
  const { channelId } = entry;
  let timestampMs: number | undefined;
  /** Where the next record is due, or behind that; -1 if nothing shows it. */
  let due = 0;
  for (let i = 0; i < entry.count; i++) {
    const sequence = entry.firstSequence + i;
    const row = i * ROW_BYTES;
    const isWhole = row + ROW_BYTES <= rows.length && isRowWhole(rows, row);
    if (isWhole) timestampMs = rowTimestampMs(rows, row);
    const isMessage = (start: number, end: number): boolean =>
      records.buffer[start + 8] === RecordType.message &&
      messageChannelId(records.buffer, start) === channelId &&
      readMsgProtoSequence(records.buffer, msgProtoStart(records.buffer, start), end) === sequence;
    // Where the records of others lie between, a row shows more than what came before.
    const isByRow = isWhole && isInBody;
    let at = isByRow ? rowOffset(rows, row) : await records.find(due, channelId, sequence);
    let place = await records.at(at);
    let isFound = place !== undefined && isMessage(place.start, place.end);
    const isOther = place !== undefined && !isFound;
    if (!isFound && isWhole) {
      const other = isInBody ? await records.find(due, channelId, sequence) : rowOffset(rows, row);
      if (other >= 0 && other !== at) {
        at = other;
        place = await records.at(at);
        isFound = place !== undefined && isMessage(place.start, place.end);
      }
    }
    if (place === undefined || !isFound) {
      const offset = base + Math.max(0, isWhole ? rowOffset(rows, row) : due);
      const what = isOther
        ? `message ${sequence} of channel ${channelId} is due here`
        : `message ${sequence} is not whole`;
      extend(scan.damages, sequence, offset, what);
      // If its length is right, the next one lies behind it; whether it does shows in that one's own record.
      if (!isInBody) due = at < 0 ? -1 : await records.supposedEnd(at);
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
  const { at, extents, directoryOffset, footerCrc, entryBytes } = found;
  const directory = await readWhatCanBeRead(file, directoryOffset, extents * entryBytes);
  const entries: DirectoryEntry[] = [];
  let damagedAt: number | undefined;
  for (let i = 0; i < extents; i++) {
    const start = i * entryBytes;
    const entry =
      start + entryBytes <= directory.length ? readDirectoryEntry(directory, start, entryBytes) : undefined;
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
  /** The size of an entry of the directory, by the version of the segment. */
  entryBytes: number;
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
      const entryBytes = footer && entryBytesOf(footer.extents, at - footer.directoryOffset);
      if (footer !== undefined && entryBytes !== undefined)
        return { at, ...footer, footerCrc: footerCrcOf(bytes), entryBytes };
      magic = magic === 0 ? -1 : piece.lastIndexOf(FOOTER_MAGIC, magic - 1, 'latin1');
    }
    if (start === 0) return undefined;
    // One that lies across the border is whole in the next piece.
    end = start + FOOTER_BYTES - 1;
  }
  return undefined;
}

const FOOTER_MAGIC_AT = 12;
