import { saltedCrc32 } from '../../util/crc.js';
import { checkRecord, RecordType, readU32, writeU32 } from './record.js';

/*
 * A batch in a journal is this header, then its records. The header is a record of type 16, whose CRC begins with the
 * file's salt.
 *
 *   0  u32  24 (length of what follows the first 8 bytes)
 *   4  u32  CRC-32 of it, salted
 *   8  u8   16
 *   9  u24  number of the batch in its term, from 1: the bits from 32 on
 *  12  u32  magic
 *  16  u32  and the bits below
 *  20  u32  bytes of its records
 *  24  u64  the store's own time, ns since 1970
 */
export const BATCH_HEADER_BYTES = 32;
const MAGIC = 0x31a77ba7;
const MAGIC_BYTES = Buffer.from([0xa7, 0x7b, 0xa7, 0x31]);
const MAGIC_AT = 12;
/** A term that writes thousands of batches in a second has more than 32 bits can count after some days. */
const HIGH = 2 ** 32;

export function writeBatchHeader(
  buffer: Buffer,
  start: number,
  salt: number,
  index: number,
  contentBytes: number,
  timestampNs: bigint,
): void {
  writeU32(buffer, start, BATCH_HEADER_BYTES - 8);
  buffer[start + 8] = RecordType.batch;
  buffer.writeUIntLE(Math.floor(index / HIGH), start + 9, 3);
  writeU32(buffer, start + MAGIC_AT, MAGIC);
  writeU32(buffer, start + 16, index % HIGH);
  writeU32(buffer, start + 20, contentBytes);
  buffer.writeBigUInt64LE(timestampNs, start + 24);
  writeU32(buffer, start + 4, saltedCrc32(buffer, start + 8, start + BATCH_HEADER_BYTES, salt));
}

export interface BatchHeader {
  index: number;
  contentStart: number;
  contentEnd: number;
  timestampNs: bigint;
}

/** Reads a batch header. The content of the batch may reach beyond the buffer. @returns undefined if there is no valid header at `start` */
export function readBatchHeader(buffer: Buffer, start: number, salt: number): BatchHeader | undefined {
  if (buffer.length - start < BATCH_HEADER_BYTES) return undefined;
  if (readU32(buffer, start) !== BATCH_HEADER_BYTES - 8 || readU32(buffer, start + MAGIC_AT) !== MAGIC) {
    return undefined;
  }
  if (saltedCrc32(buffer, start + 8, start + BATCH_HEADER_BYTES, salt) !== readU32(buffer, start + 4)) {
    return undefined;
  }
  const contentStart = start + BATCH_HEADER_BYTES;
  return {
    index: buffer.readUIntLE(start + 9, 3) * HIGH + readU32(buffer, start + 16),
    contentStart,
    contentEnd: contentStart + readU32(buffer, start + 20),
    timestampNs: buffer.readBigUInt64LE(start + 24),
  };
}

/** The offset of the next valid batch header of this file, from `from` on; -1 if there is none. */
export function findBatchHeader(buffer: Buffer, from: number, salt: number): number {
  let at = from + MAGIC_AT;
  for (;;) {
    at = buffer.indexOf(MAGIC_BYTES, at);
    if (at < 0) return -1;
    const start = at - MAGIC_AT;
    if (start >= from && readBatchHeader(buffer, start, salt) !== undefined) return start;
    at++;
  }
}

/** Whether there seems to be a batch header at `start`, with any salt. */
export function isBatchMagicAt(buffer: Buffer, start: number): boolean {
  return buffer.length - start >= BATCH_HEADER_BYTES && readU32(buffer, start + MAGIC_AT) === MAGIC;
}

/** Whether there seems to be a batch header anywhere in the buffer, with any salt. */
export function hasBatchMagic(buffer: Buffer): boolean {
  return buffer.includes(MAGIC_BYTES);
}

/** The offset of the first damaged record of a batch; `contentEnd` if there is none. */
export function checkRecords(buffer: Buffer, header: BatchHeader): number {
  const limit = Math.min(header.contentEnd, buffer.length);
  let pos = header.contentStart;
  while (pos < header.contentEnd) {
    const end = checkRecord(buffer, pos, limit);
    if (end < 0) return pos;
    pos = end;
  }
  return pos;
}
