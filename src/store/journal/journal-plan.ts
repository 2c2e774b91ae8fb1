import { readUsed } from '../../files/file-io.js';
import { checkpointName, compareIds, type FileId, journalName, sameId } from '../../files/file-names.js';
import type { StoreFs } from '../../files/fs.js';
import { damaged } from '../../files/store-error.js';
import { CHECKPOINT_DIRECTORY, JOURNAL_DIRECTORY } from '../../files/store-folder.js';
import { checkRecords, findBatchHeader, readBatchHeader } from '../format/batch-format.js';
import { FILE_HEADER_BYTES } from '../format/file-header.js';
import type { JournalPosition } from '../types/journal.js';
import { openJournalContent, scanJournal, usedBytes } from './journal-reader.js';
import { type AcceptedJournal, maxTermBatchBytes, readTermRecord, type TermRecord } from './term-record.js';

/** A journal that recovery must read. */
export interface PlannedJournal extends FileId {
  path: string;
  from: number;
  /** Number of its first batch from there; 0 if it follows from the file before. */
  firstIndex: number;
  /** Where a later term ended it; undefined for the newest term, whose end is found. */
  acceptedEnd: number | undefined;
}

/** Which journals lead to the newest state. */
export interface JournalPlan {
  journals: PlannedJournal[];
  /** The newest term that served; 0 if none did. */
  epoch: number;
}

/** What planning needs to know of the store. */
export interface PlanOptions {
  fs: StoreFs;
  /** The store's. */
  dir: string;
  storeId: string;
  /** All journal files there are, oldest first. */
  journals: readonly FileId[];
  /** All checkpoints there are. */
  checkpoints: readonly FileId[];
}

/** A checkpoint, and the position in the journal for which it stands. */
export interface PlanBase {
  id: FileId;
  position: JournalPosition;
}

/**
 * Which journals lead from a checkpoint (undefined: from nothing) to the newest state. The newest term that began to
 * serve decides: its first record says how much of older journals counts. A term without that record never served.
 *
 * @returns undefined if the newest term does not know the checkpoint: a predecessor that had lost the lease put it there later
 * @throws StoreError if a journal that counts is missing, or the checkpoint that the newest term began from
 */
export async function planJournals(
  options: PlanOptions,
  base: PlanBase | undefined,
): Promise<JournalPlan | undefined> {
  const { dir, journals } = options;
  const position = base?.position;
  const newest = await newestTerm(options, position?.epoch ?? 0);
  if (newest !== undefined) {
    const { epoch, record } = newest;
    if (base !== undefined && isLate(base.id, record)) return undefined;
    checkBase(options, base?.id, newest);
    if (base === undefined && record.base === 'unknown') await checkBeginning(options, newest);
    const planned = [
      ...acceptedFrom(dir, journals, record.accepted, position),
      ...ownFrom(dir, journals, epoch, 1, 1),
    ];
    return { journals: planned, epoch };
  }
  if (position === undefined) return { journals: [], epoch: 0 };
  const own = ownFrom(dir, journals, position.epoch, position.number, position.nextIndex);
  const [oldest] = own;
  if (oldest === undefined) throw missing(dir, position);
  oldest.from = position.offset;
  return { journals: own, epoch: position.epoch };
}

interface NewestTerm {
  epoch: number;
  record: TermRecord;
}

/** The newest term above an epoch that served. */
async function newestTerm(options: PlanOptions, above: number): Promise<NewestTerm | undefined> {
  const epochs = new Set(options.journals.map(({ epoch }) => epoch));
  for (const epoch of [...epochs].filter((known) => known > above).reverse()) {
    const record = await readTerm(options, epoch);
    if (record !== undefined) return { epoch, record };
  }
  return undefined;
}

/** A checkpoint that is older than a term and that this term did not find when it began: the files for which it stands may be gone. */
export function isLate(id: FileId, { base }: TermRecord): boolean {
  if (base === 'unknown') return false;
  return base === undefined || compareIds(id, base) > 0;
}

/** Nothing stands for the checkpoint that the term began from but a newer one: if it is gone, so is what was in it. */
function checkBase(
  { dir, checkpoints }: PlanOptions,
  used: FileId | undefined,
  { epoch, record: { base } }: NewestTerm,
): void {
  if (base === 'unknown' || base === undefined) return;
  if (used !== undefined && sameId(used, base)) return;
  // One that is damaged is passed over, if an older one leads to the same state.
  if (used !== undefined && checkpoints.some((id) => sameId(id, base))) return;
  throw damaged(
    `${dir}/${CHECKPOINT_DIRECTORY}/${checkpointName(base)}`,
    0,
    `the file is missing: the term of epoch ${epoch} began from it, and no newer checkpoint stands for it`,
  );
}

/**
 * Without a checkpoint, the oldest journal must be that with which the store began, for journals are removed only when a checkpoint stands for
 * them. A term of release 0.1.0 does not say which one it began from; but its first journal says what came before.
 */
async function checkBeginning(options: PlanOptions, { epoch, record }: NewestTerm): Promise<void> {
  const { dir } = options;
  const oldest = record.accepted[0] ?? { epoch, number: 1 };
  const first = oldest.epoch === epoch ? record : await readTerm(options, oldest.epoch);
  if (oldest.number === 1 && first?.accepted.length === 0) return;
  throw damaged(
    `${dir}/${CHECKPOINT_DIRECTORY}`,
    0,
    `there is no checkpoint, and journal ${journalName(oldest)} is not the first one of the store`,
  );
}

async function readTerm(options: PlanOptions, epoch: number): Promise<TermRecord | undefined> {
  const { fs, dir, storeId, journals } = options;
  const first = { epoch, number: 1 };
  if (!journals.some((id) => sameId(id, first))) throw missing(dir, first);
  const path = pathOf(dir, first);
  const content = openJournalContent(path, await readUsed(fs, path), storeId);
  if (content === undefined) {
    await requireNoBatch(options, epoch);
    return undefined;
  }
  const { buffer } = content;
  const header = readBatchHeader(buffer, FILE_HEADER_BYTES, content);
  if (header === undefined || checkRecords(buffer, header) < header.contentEnd) {
    // Torn by a crash; if other batches follow, this throws.
    scanJournal(content, 0, 1, undefined, () => {});
    const bytes =
      header === undefined ? maxTermBatchBytes(journals.length) : header.contentEnd - FILE_HEADER_BYTES;
    // The first file of a term is made of zeros: what the term may write over is not there before it has served.
    if (usedBytes(buffer, FILE_HEADER_BYTES) > bytes)
      throw damaged(
        path,
        FILE_HEADER_BYTES,
        'the first record of the term is not whole, but more was written behind it',
      );
    await requireNoBatch(options, epoch);
    return undefined;
  }
  const record = readTermRecord(buffer, header.contentStart, header.contentEnd);
  if (record === undefined)
    throw damaged(path, FILE_HEADER_BYTES, 'the first record of the term is due here');
  return record;
}

/** A term without its first record never served, so it went on in no other file. @throws StoreError if it did */
async function requireNoBatch(options: PlanOptions, epoch: number): Promise<void> {
  const { fs, dir, storeId, journals } = options;
  for (const id of journals) {
    if (id.epoch !== epoch || id.number === 1) continue;
    const path = pathOf(dir, id);
    const content = openJournalContent(path, await readUsed(fs, path), storeId);
    if (content === undefined) continue;
    const { buffer, isRecycled } = content;
    const isUsed = isRecycled
      ? findBatchHeader(buffer, FILE_HEADER_BYTES, content) >= 0
      : usedBytes(buffer, FILE_HEADER_BYTES) > 0;
    if (isUsed) throw tooShort(pathOf(dir, { epoch, number: 1 }));
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
