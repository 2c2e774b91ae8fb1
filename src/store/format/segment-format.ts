import type { FileId } from '../../files/file-names.js';
import { crc32 } from '../../util/crc.js';
import { writeU32 } from './record.js';

/*
 * A segment is a file header, then extents, then the directory, then the footer.
 *
 * An extent is a run of one channel's messages. It has a row per message, and before the rows the records, unless these stay where the
 * journal put them: in a body, which is a journal file.
 *
 *   0  u32      offset of the record: in the extent, or in the file of the body
 *   4  u32      bytes of its MsgProto
 *   8  6 bytes  the store's own time, ms since 1970
 *  14  u16      low half of the CRC-32 of the 14 bytes before
 */
export const ROW_BYTES = 16;

/*
 * The directory has an entry per extent:
 *
 *   0  u32  channel id
 *   4  u32  number of messages
 *   8  f64  first sequence
 *  16  f64  offset of the extent in the file
 *  24  u32  bytes of its records
 *  28  u32  epoch of the body, and
 *  32  u32  its number; both 0 if the records are in the extent
 *  36  u32  CRC-32 of the 36 bytes before
 *
 * In version 1 all extents have their records, and an entry has neither epoch nor number: its CRC is at 28.
 */
export const DIRECTORY_ENTRY_BYTES = 40;
export const FORMER_ENTRY_BYTES = 32;
const CRC_BYTES = 4;

/*
 * The footer, the last 24 bytes:
 *
 *   0  u32  number of extents
 *   4  f64  offset of the directory
 *  12  8 bytes magic
 *  20  u32  CRC-32 of the 20 bytes before
 */
export const FOOTER_BYTES = 24;
export const FOOTER_MAGIC = 'STANCHE\n';

/** What the file of a whole segment is recognised by, from outside. */
export interface SegmentFile {
  readonly bytes: number;
  /** The CRC that its footer ends with. */
  readonly footerCrc: number;
}

export function isSameFile(one: SegmentFile, other: SegmentFile): boolean {
  return one.bytes === other.bytes && one.footerCrc === other.footerCrc;
}

/** Limit of an extent, so that offsets in it fit, and it can be rewritten piece by piece. */
export const MAX_EXTENT_BYTES = 64 * 1024 * 1024;

export function writeRow(
  buffer: Buffer,
  at: number,
  offset: number,
  size: number,
  timestampMs: number,
): void {
  writeU32(buffer, at, offset);
  writeU32(buffer, at + 4, size);
  writeU32(buffer, at + 8, timestampMs >>> 0);
  const high = Math.floor(timestampMs / 0x1_0000_0000);
  buffer[at + 12] = high;
  buffer[at + 13] = high >>> 8;
  const check = crc32(buffer, at, at + 14);
  buffer[at + 14] = check;
  buffer[at + 15] = check >>> 8;
}

export function isRowWhole(buffer: Buffer, at: number): boolean {
  const check = crc32(buffer, at, at + 14);
  return buffer[at + 14] === (check & 255) && buffer[at + 15] === ((check >>> 8) & 255);
}

export function rowOffset(buffer: Buffer, at: number): number {
  return buffer.readUInt32LE(at);
}

export function rowSize(buffer: Buffer, at: number): number {
  return buffer.readUInt32LE(at + 4);
}

export function rowTimestampMs(buffer: Buffer, at: number): number {
  return buffer.readUIntLE(at + 8, 6);
}

export interface DirectoryEntry {
  channelId: number;
  count: number;
  firstSequence: number;
  offset: number;
  bytes: number;
  /** The journal file that the records are in; undefined if they are in the extent. */
  body: FileId | undefined;
}

export function writeDirectoryEntry(buffer: Buffer, at: number, entry: DirectoryEntry): void {
  buffer.writeUInt32LE(entry.channelId, at);
  buffer.writeUInt32LE(entry.count, at + 4);
  buffer.writeDoubleLE(entry.firstSequence, at + 8);
  buffer.writeDoubleLE(entry.offset, at + 16);
  buffer.writeUInt32LE(entry.bytes, at + 24);
  buffer.writeUInt32LE(entry.body?.epoch ?? 0, at + 28);
  buffer.writeUInt32LE(entry.body?.number ?? 0, at + 32);
  const crcAt = at + DIRECTORY_ENTRY_BYTES - CRC_BYTES;
  buffer.writeUInt32LE(crc32(buffer, at, crcAt), crcAt);
}

/**
 * @param entryBytes by the version of the segment
 * @returns undefined if its CRC is wrong
 */
export function readDirectoryEntry(
  buffer: Buffer,
  at: number,
  entryBytes: number,
): DirectoryEntry | undefined {
  const crcAt = at + entryBytes - CRC_BYTES;
  if (crc32(buffer, at, crcAt) !== buffer.readUInt32LE(crcAt)) return undefined;
  const epoch = entryBytes === FORMER_ENTRY_BYTES ? 0 : buffer.readUInt32LE(at + 28);
  return {
    channelId: buffer.readUInt32LE(at),
    count: buffer.readUInt32LE(at + 4),
    firstSequence: buffer.readDoubleLE(at + 8),
    offset: buffer.readDoubleLE(at + 16),
    bytes: buffer.readUInt32LE(at + 24),
    body: epoch === 0 ? undefined : { epoch, number: buffer.readUInt32LE(at + 32) },
  };
}

export function encodeFooter(extents: number, directoryOffset: number): Buffer {
  const buffer = Buffer.alloc(FOOTER_BYTES);
  buffer.writeUInt32LE(extents, 0);
  buffer.writeDoubleLE(directoryOffset, 4);
  buffer.write(FOOTER_MAGIC, 12, 'latin1');
  buffer.writeUInt32LE(crc32(buffer, 0, 20), 20);
  return buffer;
}

export function footerCrcOf(footer: Buffer): number {
  return footer.readUInt32LE(FOOTER_BYTES - 4);
}

/** @returns undefined if it is damaged */
export function decodeFooter(buffer: Buffer): { extents: number; directoryOffset: number } | undefined {
  if (buffer.length !== FOOTER_BYTES || buffer.toString('latin1', 12, 20) !== FOOTER_MAGIC) return undefined;
  if (crc32(buffer, 0, 20) !== buffer.readUInt32LE(20)) return undefined;
  return { extents: buffer.readUInt32LE(0), directoryOffset: buffer.readDoubleLE(4) };
}

/** The size of a directory's entries follows from where it begins and ends. @returns undefined if it is no such size */
export function entryBytesOf(extents: number, directoryBytes: number): number | undefined {
  return [DIRECTORY_ENTRY_BYTES, FORMER_ENTRY_BYTES].find((bytes) => bytes * extents === directoryBytes);
}
