import { journalName, parseNames, sameId } from '../../files/file-names.js';
import { damaged } from '../../files/store-error.js';
import {
  type BatchHeader,
  checkRecords,
  findBatchHeader,
  type JournalLife,
  readBatchHeader,
} from '../format/batch-format.js';
import { decodeFileHeader, FILE_HEADER_BYTES, Magic } from '../format/file-header.js';

/** A journal file as recovery reads it: as a whole. */
export interface JournalContent extends JournalLife {
  path: string;
  buffer: Buffer;
}

/**
 * @returns undefined if the file was never used: a crash came before its header was synced. Then everything behind is as it was made, zeros.
 * (Only versions before 3 leave such a file. Since then none has its name before it has its header.)
 * @throws StoreError if the header is damaged and something was written behind it
 */
export function openJournalContent(
  path: string,
  buffer: Buffer,
  storeId: string,
): JournalContent | undefined {
  const header = decodeFileHeader(Magic.journal, buffer, path, storeId);
  if (header !== undefined) {
    // Two that were swapped would each read as a shorter history.
    const [named] = parseNames([path.slice(path.lastIndexOf('/') + 1)], 'log');
    if (named !== undefined && !sameId(named, header))
      throw damaged(path, 0, `its header says that it is journal ${journalName(header)}`);
    return { ...header, path, buffer };
  }
  if (buffer.length > FILE_HEADER_BYTES && usedBytes(buffer, FILE_HEADER_BYTES) > 0)
    throw damaged(path, 0, 'its header is not whole, but something was written behind it');
  return undefined;
}

export interface JournalScan {
  /** Behind the last whole batch. */
  end: number;
  nextIndex: number;
  /** What was cut: bytes of a batch that a crash left torn. 0 if none. */
  tornBytes: number;
}

/**
 * Goes through the whole batches of a journal from `from` on.
 *
 * @param firstIndex number of the batch that must come first; 0 if it is not known. The one before it may come again
 * @param acceptedEnd where a later term has said that the file ends; undefined to find the end
 * @param onBatch is called for each batch, its records checked; the header object is its to keep
 * @throws StoreError if a batch is damaged that others follow, or that a later term has accepted
 */
export function scanJournal(
  content: JournalContent,
  from: number,
  firstIndex: number,
  acceptedEnd: number | undefined,
  onBatch: (header: BatchHeader) => void,
): JournalScan {
  const { path, buffer } = content;
  let pos = Math.max(from, FILE_HEADER_BYTES);
  let index = firstIndex;
  while (acceptedEnd === undefined || pos < acceptedEnd) {
    const header = readBatchHeader(buffer, pos, content);
    const badAt = header === undefined ? pos : checkRecords(buffer, header);
    if (header === undefined || badAt < header.contentEnd) {
      if (acceptedEnd !== undefined) {
        throw damaged(
          path,
          badAt,
          `the journal was accepted up to byte ${acceptedEnd}, but a record is not whole`,
        );
      }
      // A number below the one that is due is none of this life.
      const next = findBatchHeader(buffer, header === undefined ? pos + 1 : badAt, content, index);
      if (next >= 0)
        throw damaged(path, badAt, `a record is not whole, but a whole batch follows at byte ${next}`);
      return { end: pos, nextIndex: index, tornBytes: tornBytesAt(content, pos, header) };
    }
    // It found no room in the file before, and was written again here. What the other file has of it may be the whole.
    const isRepeated = pos === FILE_HEADER_BYTES && header.index === index - 1;
    if (index !== 0 && header.index !== index && !isRepeated) {
      throw damaged(
        path,
        pos,
        `batch ${header.index} stands where batch ${index} is due; a journal file is missing or cut`,
      );
    }
    if (!isRepeated) onBatch(header);
    index = header.index + 1;
    pos = header.contentEnd;
  }
  if (pos !== acceptedEnd)
    throw damaged(
      path,
      pos,
      `a batch reaches over byte ${acceptedEnd}, where the journal was accepted to end`,
    );
  return { end: pos, nextIndex: index, tornBytes: 0 };
}

/** What a crash has left of a batch, as far as that shows: behind the last batch of a file that had a life before lies what that has left. */
function tornBytesAt(content: JournalContent, pos: number, header: BatchHeader | undefined): number {
  const { buffer, isRecycled } = content;
  if (!isRecycled) return usedBytes(buffer, pos);
  return header === undefined ? 0 : Math.min(header.contentEnd, buffer.length) - pos;
}

/** Bytes up to the last piece that is not all 0. */
export function usedBytes(buffer: Buffer, from: number): number {
  let end = buffer.length;
  while (end > from) {
    const start = Math.max(from, end - ZEROS.length);
    const length = end - start;
    if (!buffer.subarray(start, end).equals(length === ZEROS.length ? ZEROS : ZEROS.subarray(0, length)))
      break;
    end = start;
  }
  while (end > from && buffer[end - 1] === 0) end--;
  return end - from;
}

const ZEROS = Buffer.alloc(4096);
