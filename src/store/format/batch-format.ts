import type { FileId } from '../../files/file-names.js';
import { assert } from '../../util/assert.js';
import { saltedCrc32 } from '../../util/crc.js';
import { JOURNAL_VERSION } from './file-header.js';
import { checkRecord, RecordType, readU32, writeU32 } from './record.js';

/*
 * A batch in a journal is this header, then its records. The header is a record of type 16, whose CRC begins with the
 * file's salt.
 *
 *   0  u32  28 (length of what follows the first 8 bytes)
 *   4  u32  CRC-32 of it, salted
 *   8  u8   16
 *   9  u24  number of the batch in its term, from 1: the bits from 32 on
 *  12  u32  magic
 *  16  u32  and the bits below
 *  20  u32  bytes of its records
 *  24  u64  the store's own time, ns since 1970
 *  32  u32  hash of its records
 *
 * A journal file may have had a life before: what that left behind the present end are batches too. Their headers have another salt. Their
 * records have right CRCs of their own, and may lie where a torn batch has records, so the header has the hash of its content.
 *
 * Journals of versions 1 and 2 were made of zeros and have no hash: their headers end before it, and have a length of 24.
 */
export const BATCH_HEADER_BYTES = 36;
const FORMER_BATCH_HEADER_BYTES = 32;
const HASH_VERSION = 3;
const HASH_AT = 32;
const MAGIC = 0x31a77ba7;
const MAGIC_BYTES = Buffer.from([0xa7, 0x7b, 0xa7, 0x31]);
const MAGIC_AT = 12;
/** A term that writes thousands of batches in a second has more than 32 bits can count after some days. */
const HIGH = 2 ** 32;

/** One life of a journal file, as its header has it: a batch is right in this one only. */
export interface JournalLife extends FileId {
  salt: number;
  version: number;
  /** The file had another life before: what lies behind its last batch are not zeros. */
  isRecycled: boolean;
}

export function batchHeaderBytes({ version }: Pick<JournalLife, 'version'>): number {
  return version >= HASH_VERSION ? BATCH_HEADER_BYTES : FORMER_BATCH_HEADER_BYTES;
}

/** A new life, with which batches are written. */
export function newLife({ epoch, number }: FileId, salt: number, isRecycled: boolean): JournalLife {
  return { epoch, number, salt, version: JOURNAL_VERSION, isRecycled };
}

/**
 * Completes a batch whose records are in place, from `start` (where the header goes) to `end`.
 *
 * @param offset where in the file it is going to be
 */
export function writeBatchHeader(
  buffer: Buffer,
  start: number,
  end: number,
  life: JournalLife,
  offset: number,
  index: number,
  timestampNs: bigint,
): void {
  const contentStart = start + BATCH_HEADER_BYTES;
  writeU32(buffer, start, BATCH_HEADER_BYTES - 8);
  buffer[start + 8] = RecordType.batch;
  buffer.writeUIntLE(Math.floor(index / HIGH), start + 9, 3);
  writeU32(buffer, start + MAGIC_AT, MAGIC);
  writeU32(buffer, start + 16, index % HIGH);
  writeU32(buffer, start + 20, end - contentStart);
  buffer.writeBigUInt64LE(timestampNs, start + 24);
  let hash = hashSeed(life, offset);
  let at = contentStart;
  for (; at < end; at += 8 + readU32(buffer, at)) hash = mix(hash, readU32(buffer, at + 4));
  assert(at === end, 'a batch is made of whole records');
  writeU32(buffer, start + HASH_AT, hash);
  writeU32(buffer, start + 4, saltedCrc32(buffer, start + 8, contentStart, life.salt));
}

/** The hash of a batch without records. */
function hashSeed({ salt, epoch, number }: FileId & { salt: number }, offset: number): number {
  return mix(mix(mix(salt, epoch), number), offset);
}

/** The CRC of a record covers its bytes, so a hash of these covers all. Each step is reversible: a single difference always shows. */
function mix(hash: number, value: number): number {
  return Math.imul(((hash << 13) | (hash >>> 19)) ^ value, 0x9e3779b1);
}

export interface BatchHeader {
  index: number;
  contentStart: number;
  contentEnd: number;
  timestampNs: bigint;
  /** The hash of its records, and with which number that begins; undefined in a journal of an older version. */
  hash: { seed: number; value: number } | undefined;
}

/**
 * Reads a batch header. The content of the batch may reach beyond the buffer.
 *
 * @param buffer the file from its beginning
 * @returns undefined if there is no valid header at `start`
 */
export function readBatchHeader(buffer: Buffer, start: number, life: JournalLife): BatchHeader | undefined {
  const bytes = batchHeaderBytes(life);
  if (buffer.length - start < bytes) return undefined;
  if (readU32(buffer, start) !== bytes - 8 || readU32(buffer, start + MAGIC_AT) !== MAGIC) return undefined;
  if (saltedCrc32(buffer, start + 8, start + bytes, life.salt) !== readU32(buffer, start + 4))
    return undefined;
  return fieldsOf(buffer, start, life);
}

/** The time of a batch in a journal of any version: of its header only the salt need be known. @returns undefined if that is not whole */
export function readBatchTimeNs(buffer: Buffer, start: number, salt: number): bigint | undefined {
  const end = start + 8 + readU32(buffer, start);
  if (end - start < FORMER_BATCH_HEADER_BYTES || end > Math.min(buffer.length, start + BATCH_HEADER_BYTES))
    return undefined;
  if (saltedCrc32(buffer, start + 8, end, salt) !== readU32(buffer, start + 4)) return undefined;
  return buffer.readBigUInt64LE(start + 24);
}

function fieldsOf(buffer: Buffer, start: number, life: JournalLife): BatchHeader {
  const contentStart = start + batchHeaderBytes(life);
  return {
    index: buffer.readUIntLE(start + 9, 3) * HIGH + readU32(buffer, start + 16),
    contentStart,
    contentEnd: contentStart + readU32(buffer, start + 20),
    timestampNs: buffer.readBigUInt64LE(start + 24),
    hash:
      life.version >= HASH_VERSION
        ? { seed: hashSeed(life, start), value: readU32(buffer, start + HASH_AT) }
        : undefined,
  };
}

/**
 * The offset of the next valid batch header of this life, from `from` on; -1 if there is none.
 *
 * @param least its number at least
 */
export function findBatchHeader(buffer: Buffer, from: number, life: JournalLife, least = 0): number {
  let at = from + MAGIC_AT;
  for (;;) {
    at = buffer.indexOf(MAGIC_BYTES, at);
    if (at < 0) return -1;
    const start = at - MAGIC_AT;
    const header = start >= from ? readBatchHeader(buffer, start, life) : undefined;
    if (header !== undefined && header.index >= least) return start;
    at++;
  }
}

/** Whether there seems to be a batch header at `start`, with any salt. */
export function isBatchMagicAt(buffer: Buffer, start: number): boolean {
  return buffer.length - start >= FORMER_BATCH_HEADER_BYTES && readU32(buffer, start + MAGIC_AT) === MAGIC;
}

/** Whether there seems to be a batch header anywhere in the buffer, with any salt. */
export function hasBatchMagic(buffer: Buffer): boolean {
  return buffer.includes(MAGIC_BYTES);
}

/** The offset of the first damaged record of a batch; `contentEnd` if there is none. If all are whole and it is not these that were written: where they begin. */
export function checkRecords(buffer: Buffer, header: BatchHeader): number {
  const { contentStart, contentEnd, hash } = header;
  const limit = Math.min(contentEnd, buffer.length);
  let pos = contentStart;
  let found = hash?.seed ?? 0;
  while (pos < contentEnd) {
    const end = checkRecord(buffer, pos, limit);
    if (end < 0) return pos;
    found = mix(found, readU32(buffer, pos + 4));
    pos = end;
  }
  return hash === undefined || found >>> 0 === hash.value ? pos : contentStart;
}

/**
 * The end of a batch whose header is damaged, and whose records are whole. In a file that had another life it shows by the hash that
 * they are of this one: in the header, if that field is not damaged, or else by the header's own CRC.
 *
 * @returns -1 if that cannot be shown
 */
export function provenBatchEnd(buffer: Buffer, start: number, life: JournalLife): number {
  if (life.version < HASH_VERSION || buffer.length - start < BATCH_HEADER_BYTES) return -1;
  const { contentStart, contentEnd, hash } = fieldsOf(buffer, start, life);
  const copy = Buffer.from(buffer.subarray(start, contentStart));
  let found = hash?.seed ?? 0;
  for (let pos = contentStart; ; ) {
    const end = checkRecord(buffer, pos, buffer.length);
    if (end < 0) return -1;
    found = mix(found, readU32(buffer, pos + 4));
    pos = end;
    if (found >>> 0 === hash?.value) return pos;
    if (pos !== contentEnd) continue;
    writeU32(copy, HASH_AT, found);
    if (saltedCrc32(copy, 8, BATCH_HEADER_BYTES, life.salt) === readU32(copy, 4)) return pos;
  }
}
