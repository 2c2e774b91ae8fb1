import type { FileId } from '../../files/file-names.js';
import { StoreError } from '../../files/store-error.js';
import { crc32, saltOf } from '../../util/crc.js';
import {
  batchHeaderBytes,
  checkRecords,
  findBatchHeader,
  hasBatchMagic,
  isBatchMagicAt,
  provenBatchEnd,
  readBatchHeader,
} from '../format/batch-format.js';
import {
  decodeFileHeader,
  FILE_HEADER_BYTES,
  JOURNAL_VERSION,
  Magic,
  SALT_AT,
} from '../format/file-header.js';
import { checkRecord, MESSAGE_HEADER_BYTES, RecordType, readU32, writeU32 } from '../format/record.js';
import type { JournalContent } from '../journal/journal-reader.js';

/** Bytes of a journal that cannot be read. */
export interface LostStretch {
  path: string;
  offset: number;
  bytes: number;
  what: string;
  /** Limit of the messages that may have been in it. */
  maxMessages: number;
  maxRecords: number;
  /** The bytes as they are now, if they may show what the record was. */
  record: Buffer | undefined;
}

/** Receives what can be read, in order, and what cannot. */
export interface SalvageSink {
  /** A complete record, with the time of its batch if that is known. */
  record(buffer: Buffer, start: number, end: number, timestampNs: bigint | undefined): void;
  lost(stretch: LostStretch): void;
  /** Damage that lost nothing. */
  mended(path: string, offset: number, what: string): void;
}

/** Least size of a message record: one without data and guid, in a channel of one character, is larger. */
const MIN_MESSAGE_BYTES = MESSAGE_HEADER_BYTES + 14;
/** Least size of any other record. */
const MIN_RECORD_BYTES = 10;

export interface DamagedContent extends JournalContent {
  isHeaderWhole: boolean;
}

/** Batches are written alike in this version and those before it. */
const FORMER_VERSION = 2;

/**
 * Opens a journal whose header may be damaged. Only its salt is needed, which follows from any batch header.
 *
 * @param named which journal it is by its name: a damaged header does not say it, and what an older life of the file left was another
 * @returns undefined if nothing was ever written, or the salt cannot be found
 */
export function openDamagedJournal(
  path: string,
  named: FileId,
  buffer: Buffer,
  storeId: string,
): DamagedContent | undefined {
  try {
    const header = decodeFileHeader(Magic.journal, buffer, path, storeId);
    if (header !== undefined) return { ...header, path, buffer, isHeaderWhole: true };
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return undefined;
  }
  if (!hasBatchMagic(buffer)) return undefined;
  const { epoch, number } = named;
  const first = FILE_HEADER_BYTES;
  for (const version of [JOURNAL_VERSION, FORMER_VERSION]) {
    const salts = [buffer.readUInt32LE(SALT_AT)];
    if (isBatchMagicAt(buffer, first)) {
      const end = first + batchHeaderBytes({ version });
      if (end <= buffer.length) salts.push(saltOf(buffer, first + 8, end, readU32(buffer, first + 4)));
    }
    for (const salt of salts) {
      const isRecycled = version >= JOURNAL_VERSION;
      const content = { path, buffer, epoch, number, salt, version, isRecycled, isHeaderWhole: false };
      const at = findBatchHeader(buffer, first, content);
      const header = at < 0 ? undefined : readBatchHeader(buffer, at, content);
      if (header !== undefined && checkRecords(buffer, header) === header.contentEnd) return content;
    }
  }
  return undefined;
}

export interface JournalSalvage {
  /** The end of the part that counts. */
  end: number;
  /** Size of a last batch that a crash may have torn. As in recovery, it does not count. */
  tornBytes: number;
  isEmpty: boolean;
}

/**
 * Reads a journal past all damage. A batch behind a damaged one was written only after the damaged one had become durable. So all of the
 * damaged batch counted, and every complete record of it is kept.
 *
 * @param acceptedEnd the end of the file that a later term has accepted; undefined if none has
 * @param isFollowed whether the term went on in another file, so that this one has no torn batch at its end
 * @param firstIndex the number of the batch that is due at `from`; undefined if that is not known
 * @param followingIndex the number of the batch that comes behind this file; undefined if that is not known
 */
export function salvageJournal(
  content: JournalContent,
  from: number,
  acceptedEnd: number | undefined,
  isFollowed: boolean,
  firstIndex: number | undefined,
  followingIndex: number | undefined,
  sink: SalvageSink,
): JournalSalvage {
  const { path, buffer, isRecycled } = content;
  let nextIndex = firstIndex;
  const limit = Math.min(buffer.length, acceptedEnd ?? buffer.length);
  let pos = Math.max(from, FILE_HEADER_BYTES);
  const begin = pos;
  while (pos < limit) {
    const header = readBatchHeader(buffer, pos, content);
    // It found no room here, and was written again into the file that follows.
    if (header !== undefined && isFollowed && header.index === followingIndex)
      return { end: acceptedEnd ?? pos, tornBytes: 0, isEmpty: pos === begin };
    if (header !== undefined) {
      nextIndex = header.index + 1;
      const isWhole = checkRecords(buffer, header) === header.contentEnd && header.contentEnd <= limit;
      if (!isWhole && acceptedEnd === undefined && !isFollowed) {
        const isLast = findBatchHeader(buffer, header.contentStart, content, nextIndex) < 0;
        const tornEnd = isRecycled ? Math.min(header.contentEnd, limit) : usedEnd(buffer, pos);
        if (isLast) return { end: pos, tornBytes: tornEnd - pos, isEmpty: pos === begin };
      }
      const end = Math.min(header.contentEnd, limit);
      salvageRecords(path, buffer, header.contentStart, end, header.timestampNs, sink);
      if (header.contentEnd > limit) {
        const bytes = header.contentEnd - limit;
        sink.lost(lostStretch(path, limit, bytes, 'the file ends in the middle of a batch', undefined));
      }
      pos = header.contentEnd;
      continue;
    }
    const next = findBatchHeader(buffer, pos + 1, content, nextIndex);
    let end = next < 0 || next > limit ? (acceptedEnd ?? -1) : next;
    const isTail = end < 0;
    const isComplete = isFollowed && followingIndex !== undefined && followingIndex === nextIndex;
    if (isTail && isComplete) return { end: pos, tornBytes: 0, isEmpty: pos === begin };
    if (isTail && isRecycled) {
      // What lies here may be what an older life of the file has left.
      end = isFollowed ? provenBatchEnd(buffer, pos, content) : -1;
      if (end < 0) {
        const isMissing = isFollowed && followingIndex !== undefined;
        if (isMissing) sink.lost(lostStretch(path, pos, limit - pos, 'a batch is not whole', undefined));
        return { end: isMissing ? limit : pos, tornBytes: 0, isEmpty: pos === begin };
      }
      nextIndex = nextIndex && nextIndex + 1;
    } else if (isTail) {
      end = usedEnd(buffer, pos);
      if (!isFollowed || end === pos) return { end: pos, tornBytes: end - pos, isEmpty: pos === begin };
      // A record may end in zeros; its own length shows where it ends.
      end = Math.min(buffer.length, end + MESSAGE_HEADER_BYTES);
    }
    end = Math.min(end, limit);
    salvageRecords(path, buffer, pos, end, undefined, sink, isTail && !isRecycled);
    pos = end;
  }
  if (acceptedEnd !== undefined && limit < acceptedEnd && pos < acceptedEnd) {
    sink.lost(
      lostStretch(
        path,
        limit,
        acceptedEnd - limit,
        'the file is shorter than what was recorded of it',
        undefined,
      ),
    );
  }
  return { end: acceptedEnd ?? pos, tornBytes: 0, isEmpty: pos === begin };
}

/** Reads all complete records of a stretch. The length of a damaged record may still show where the next one begins. */
function salvageRecords(
  path: string,
  buffer: Buffer,
  start: number,
  end: number,
  timestampNs: bigint | undefined,
  sink: SalvageSink,
  mayEndInZeros = false,
): void {
  let pos = start;
  while (pos < end) {
    const recordEnd = checkRecord(buffer, pos, end);
    if (recordEnd > 0) {
      if (buffer[pos + 8] !== RecordType.batch) sink.record(buffer, pos, recordEnd, timestampNs);
      pos = recordEnd;
      continue;
    }
    if (mayEndInZeros && isAllZero(buffer, pos, end)) return;
    const supposed = pos + 8 + (pos + 4 <= end ? readU32(buffer, pos) : end);
    const isSupposedRight =
      supposed > pos + 8 && (supposed === end || (supposed < end && checkRecord(buffer, supposed, end) > 0));
    const next = isSupposedRight ? supposed : nextChain(buffer, pos + 1, end);
    const isOne = isSupposedRight;
    // Without a time, the stretch begins with a batch whose header is damaged.
    const isHeaderDue = timestampNs === undefined && pos === start;
    const isHeader = (isHeaderDue || isBatchMagicAt(buffer, pos)) && HEADER_SIZES.has(next - pos);
    if (isSumRight(buffer, pos, next)) {
      // The record is complete except for its length.
      writeU32(buffer, pos, next - pos - 8);
      sink.mended(path, pos, 'the length of a record is wrong; the record is whole');
      sink.record(buffer, pos, next, timestampNs);
    } else if (isHeader) sink.mended(path, pos, 'the header of a batch is not whole; its records are');
    else {
      const what = isOne ? 'a record is not whole' : 'records are not whole';
      const stretch = lostStretch(
        path,
        pos,
        next - pos,
        what,
        isOne ? buffer.subarray(pos, next) : undefined,
      );
      sink.lost(stretch);
    }
    pos = next;
  }
}

const HEADER_SIZES = new Set([
  batchHeaderBytes({ version: JOURNAL_VERSION }),
  batchHeaderBytes({ version: FORMER_VERSION }),
]);

/** The offset from which complete records follow each other to the very end. Records that a publisher has made up inside a message do not. */
function nextChain(buffer: Buffer, from: number, end: number): number {
  for (let start = from; start < end; start++) {
    if (!isRecordType(buffer[start + 8])) continue;
    let pos = start;
    while (pos >= 0 && pos < end) pos = checkRecord(buffer, pos, end);
    if (pos === end) return start;
  }
  return end;
}

/** Whether the CRC at `start` is that of all bytes up to `end`. */
function isSumRight(buffer: Buffer, start: number, end: number): boolean {
  return end - start > 9 && crc32(buffer, start + 8, end) === readU32(buffer, start + 4);
}

function isRecordType(type: number | undefined): boolean {
  return type !== undefined && type >= RecordType.message && type <= RecordType.term;
}

export function lostStretch(
  path: string,
  offset: number,
  bytes: number,
  what: string,
  record: Buffer | undefined,
): LostStretch {
  const most = (each: number): number => (record === undefined ? Math.max(1, Math.floor(bytes / each)) : 1);
  const maxMessages = most(MIN_MESSAGE_BYTES);
  return { path, offset, bytes, what, maxMessages, maxRecords: most(MIN_RECORD_BYTES), record };
}

function isAllZero(buffer: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (buffer[i] !== 0) return false;
  return true;
}

/** The offset behind the last byte that is not 0. */
export function usedEnd(buffer: Buffer, from: number): number {
  let end = buffer.length;
  while (end > from && buffer[end - 1] === 0) end--;
  return end;
}
