import { readUsed } from '../../files/file-io.js';
import { type FileId, journalName, sameId } from '../../files/file-names.js';
import type { StoreFs } from '../../files/fs.js';
import { damaged } from '../../files/store-error.js';
import { JOURNAL_DIRECTORY } from '../../files/store-folder.js';
import { checkRecords, readBatchHeader } from '../format/batch-format.js';
import { FILE_HEADER_BYTES } from '../format/file-header.js';
import type { JournalPosition } from '../types/journal.js';
import { openJournalContent, scanJournal } from './journal-reader.js';
import { type AcceptedJournal, readTermRecord } from './term-record.js';

/** A journal that recovery must read. */
export interface PlannedJournal extends FileId {
  path: string;
  from: number;
  /** Number of its first batch from there; 0 if it follows from the file before. */
  firstIndex: number;
  /** Where a later term ended it; undefined for the newest term, whose end is found. */
  acceptedEnd: number | undefined;
}

/**
 * Which journals lead from a checkpoint (undefined: from nothing) to the newest state. The newest term that began to
 * serve decides: its first record says how much of older journals counts. A term without that record never served.
 *
 * @param journals all there are, oldest first
 * @throws StoreError if one that counts is missing
 */
export async function planJournals(
  fs: StoreFs,
  dir: string,
  storeId: string,
  journals: readonly FileId[],
  position: JournalPosition | undefined,
): Promise<PlannedJournal[]> {
  const base = position?.epoch ?? 0;
  const epochs = [...new Set(journals.map(({ epoch }) => epoch))].filter((epoch) => epoch > base).reverse();
  for (const epoch of epochs) {
    const accepted = await readLease(fs, dir, storeId, journals, epoch);
    if (accepted === undefined) continue;
    return [...acceptedFrom(dir, journals, accepted, position), ...ownFrom(dir, journals, epoch, 1, 1)];
  }
  if (position === undefined) return [];
  const own = ownFrom(dir, journals, position.epoch, position.number, position.nextIndex);
  const [oldest] = own;
  if (oldest === undefined) throw missing(dir, position);
  oldest.from = position.offset;
  return own;
}

async function readLease(
  fs: StoreFs,
  dir: string,
  storeId: string,
  journals: readonly FileId[],
  epoch: number,
): Promise<AcceptedJournal[] | undefined> {
  const first = { epoch, number: 1 };
  if (!journals.some((id) => sameId(id, first))) throw missing(dir, first);
  const path = pathOf(dir, first);
  const content = openJournalContent(path, await readUsed(fs, path), storeId);
  if (content === undefined) {
    await requireNoBatch(fs, dir, storeId, journals, epoch);
    return undefined;
  }
  const { buffer } = content;
  const header = readBatchHeader(buffer, FILE_HEADER_BYTES, content.salt);
  if (header === undefined || checkRecords(buffer, header) < header.contentEnd) {
    // Torn by a crash; if other batches follow, this throws.
    scanJournal(content, 0, 1, undefined, () => {});
    await requireNoBatch(fs, dir, storeId, journals, epoch);
    return undefined;
  }
  const accepted = readTermRecord(buffer, header.contentStart, header.contentEnd);
  if (accepted === undefined)
    throw damaged(path, FILE_HEADER_BYTES, 'the first record of the term is due here');
  return accepted;
}

/** A term without its first record never served, so it went on in no other file. @throws StoreError if it did */
async function requireNoBatch(
  fs: StoreFs,
  dir: string,
  storeId: string,
  journals: readonly FileId[],
  epoch: number,
): Promise<void> {
  for (const id of journals) {
    if (id.epoch !== epoch || id.number === 1) continue;
    const path = pathOf(dir, id);
    const content = openJournalContent(path, await readUsed(fs, path), storeId);
    if (content === undefined) continue;
    const header = readBatchHeader(content.buffer, FILE_HEADER_BYTES, content.salt);
    if (header !== undefined) throw tooShort(pathOf(dir, { epoch, number: 1 }));
  }
}

function acceptedFrom(
  dir: string,
  journals: readonly FileId[],
  accepted: readonly AcceptedJournal[],
  position: JournalPosition | undefined,
): PlannedJournal[] {
  let start = 0;
  if (position !== undefined) {
    start = accepted.findIndex((entry) => sameId(entry, position));
    const base = accepted[start];
    if (base === undefined || base.end < position.offset) throw missing(dir, position);
  }
  return accepted.slice(start).map((entry, i) => {
    if (!journals.some((id) => sameId(id, entry))) throw missing(dir, entry);
    const isBase = i === 0 && position !== undefined;
    return {
      epoch: entry.epoch,
      number: entry.number,
      path: pathOf(dir, entry),
      from: isBase ? position.offset : FILE_HEADER_BYTES,
      firstIndex: isBase ? position.nextIndex : entry.number === 1 ? 1 : 0,
      acceptedEnd: entry.end,
    };
  });
}

function ownFrom(
  dir: string,
  journals: readonly FileId[],
  epoch: number,
  firstNumber: number,
  firstIndex: number,
): PlannedJournal[] {
  const own = journals.filter((id) => id.epoch === epoch && id.number >= firstNumber);
  return own.map((id, i) => {
    if (id.number !== firstNumber + i) throw missing(dir, { epoch, number: firstNumber + i });
    return {
      ...id,
      path: pathOf(dir, id),
      from: FILE_HEADER_BYTES,
      firstIndex: i === 0 ? firstIndex : 0,
      acceptedEnd: undefined,
    };
  });
}

function pathOf(dir: string, id: FileId): string {
  return `${dir}/${JOURNAL_DIRECTORY}/${journalName(id)}`;
}

function missing(dir: string, id: FileId): Error {
  return tooShort(pathOf(dir, id));
}

/** A journal that others count on, and that is not what they say. */
export function tooShort(path: string): Error {
  return damaged(path, 0, 'the file is missing, or shorter than what was recorded of it');
}
