import { compareIds, type FileId, journalName, sameId } from '../../files/file-names.js';
import type { StoreFs } from '../../files/fs.js';
import { StoreError } from '../../files/store-error.js';
import type { Served } from '../../lease/lease-state.js';
import { batchHeaderBytes, checkRecords, findBatchHeader, readBatchHeader } from '../format/batch-format.js';
import { type Checkpoint, decodeCheckpoint } from '../format/checkpoint-format.js';
import { FILE_HEADER_BYTES } from '../format/file-header.js';
import { checkRecord } from '../format/record.js';
import { isLate } from '../journal/journal-plan.js';
import type { JournalContent } from '../journal/journal-reader.js';
import {
  type AcceptedJournal,
  maxTermBatchBytes,
  readTermRecord,
  type TermRecord,
} from '../journal/term-record.js';
import { readFileLeniently } from '../segments/lenient-read.js';
import type { JournalPosition } from '../types/journal.js';
import { type FileInfo, type InspectOptions, listFiles, readServed } from './inspect.js';
import {
  type DamagedContent,
  lostStretch,
  openDamagedJournal,
  salvageJournal,
  usedEnd,
} from './salvage-journal.js';
import { type SalvagedSegment, salvageSegments } from './salvage-segments.js';
import { SalvageState } from './salvage-state.js';

/** What can be saved of a store, and what is lost. */
export interface Salvage {
  state: SalvageState;
  journals: readonly FileInfo[];
  checkpoints: readonly FileInfo[];
  segments: readonly SalvagedSegment[];
  /** The checkpoint that was read; undefined if there is none to read. */
  base: FileId | undefined;
  /** Where the journals begin that were read; undefined if there is no checkpoint. What lies before is there for its messages only. */
  position: JournalPosition | undefined;
  /** The journals that were read, oldest first. */
  accepted: AcceptedJournal[];
  /** Files with damage, or with a batch that a crash may have torn. */
  damagedPaths: Set<string>;
  notes: string[];
}

interface DamagedJournal extends FileInfo {
  content: DamagedContent | undefined;
  /** The offset behind which there are only zeros. */
  usedBytes: number;
}

interface PlannedJournal extends FileId {
  from: number;
  acceptedEnd: number | undefined;
  isFollowed: boolean;
}

/** Assumed size of a missing journal: the size with which journals are made. */
const JOURNAL_BYTES = 8 * 1024 * 1024;

/** Reads a store past all damage, and changes nothing. No broker may write to the store meanwhile. */
export async function salvage({ fs, dir }: InspectOptions, storeId: string): Promise<Salvage> {
  const [listed, segments, checkpoints] = await listFiles(fs, dir);
  const state = new SalvageState();
  const notes: string[] = [];
  const torn: string[] = [];
  const contents = new Map<string, DamagedJournal>();
  for (const file of listed) {
    const journal = await readJournal(fs, file, storeId);
    const named = contents.get(journalName(journal));
    if (!sameId(journal, file))
      state.mended(file.path, 0, `its header says that it is journal ${journalName(journal)}`);
    // Of two with one number, the one that has its name counts.
    if (named === undefined || sameId(journal, file)) contents.set(journalName(journal), journal);
  }
  const journals = [...contents.values()].sort(compareIds);
  const served = await readServed({ fs, dir });
  const newest = newestRecord(journals, contents);
  const checkpoint = await readCheckpoint(fs, checkpoints, contents, storeId, newest, state);
  const found = await salvageSegments(fs, dir, segments, storeId, checkpoint, state);
  if (checkpoint !== undefined) state.load(checkpoint);
  else if (checkpoints.length > 0 || isCheckpointMissing(journals, segments, contents, newest))
    noteLostCheckpoint(dir, state, checkpoints);
  const accepted: AcceptedJournal[] = [];
  const position = checkpoint?.position;
  const plan = planDamagedJournals(journals, contents, checkpoint, state);
  for (const planned of plan) {
    const isBase = position !== undefined && sameId(planned, position);
    state.epoch = planned.epoch;
    const path = `${dir}/journal/${journalName(planned)}`;
    const { content, bytes } = contents.get(journalName(planned)) ?? { content: undefined, bytes: 0 };
    if (content === undefined || content.buffer.length < planned.from) {
      // Only a journal that never counted may be empty.
      if (planned.acceptedEnd === undefined && !planned.isFollowed && !isBase) continue;
      const end = planned.acceptedEnd ?? Math.max(bytes, JOURNAL_BYTES);
      if (planned.acceptedEnd !== undefined)
        accepted.push({ epoch: planned.epoch, number: planned.number, end });
      if (end <= Math.max(planned.from, FILE_HEADER_BYTES)) continue;
      const what = 'the file is missing, empty, or cannot be read at all';
      state.lost(lostStretch(path, planned.from, end - planned.from, what, undefined));
      continue;
    }
    if (!content.isHeaderWhole) state.mended(path, 0, 'its header is not whole');
    const { from, acceptedEnd } = planned;
    // A last batch that the lease says was durable is damaged, and not torn.
    const isFollowed =
      planned.isFollowed ||
      (planned.epoch === served.servedEpoch && lastBatchOf(content) < served.servedBatch);
    const following = contents.get(journalName({ epoch: planned.epoch, number: planned.number + 1 }));
    const followingIndex = planned.isFollowed ? firstBatchOf(following?.content) : served.servedBatch + 1;
    const firstIndex = isBase ? position.nextIndex : undefined;
    const { end, tornBytes, isEmpty } = salvageJournal(
      ...[content, from, acceptedEnd, isFollowed, firstIndex, followingIndex, state],
    );
    if (!isEmpty || end > FILE_HEADER_BYTES)
      accepted.push({ epoch: planned.epoch, number: planned.number, end });
    if (tornBytes > 0) {
      torn.push(path);
      notes.push(`${path}: a batch of ${tornBytes} bytes at byte ${end} was torn by a crash and is not read`);
    }
  }
  // A term that crashed before it served has left at most its first record.
  const newestEpoch = plan.at(-1)?.epoch ?? position?.epoch ?? 0;
  const maxBytes = FILE_HEADER_BYTES + maxTermBatchBytes(journals.length);
  for (const { epoch, path, usedBytes } of contents.values()) {
    if (epoch <= newestEpoch || usedBytes <= maxBytes) continue;
    const bytes = usedBytes - FILE_HEADER_BYTES;
    state.lost(lostStretch(path, FILE_HEADER_BYTES, bytes, 'nothing in it can be read', undefined));
  }
  noteUnserved(dir, plan, contents, served, position, state);
  state.finish();
  await found.check();
  // A file that may be damaged is kept too.
  const damagedPaths = new Set([...state.damages.map(({ path }) => path), ...torn]);
  const base = checkpoint?.id;
  return {
    state,
    journals: listed,
    checkpoints,
    segments: found.segments,
    base,
    position,
    accepted,
    damagedPaths,
    notes,
  };
}

async function readJournal(fs: StoreFs, journal: FileInfo, storeId: string): Promise<DamagedJournal> {
  const buffer = await readFileLeniently(fs, journal.path);
  const content = openDamagedJournal(journal.path, journal, buffer, storeId);
  // One under another name is what its header says.
  const { epoch, number } = content ?? journal;
  return { ...journal, epoch, number, content, usedBytes: usedEnd(buffer, 0) };
}

/** The record of the newest term that has one. */
function newestRecord(
  journals: readonly FileInfo[],
  contents: ReadonlyMap<string, DamagedJournal>,
): (FileId & { record: TermRecord }) | undefined {
  for (const { epoch, number } of [...journals].reverse()) {
    if (number !== 1) continue;
    const record = termRecordOf(contents.get(journalName({ epoch, number }))?.content);
    if (record !== undefined && record !== 'torn') return { epoch, number, record };
  }
  return undefined;
}

/** The number of the last batch that is whole; 0 if there is none. */
function lastBatchOf(content: JournalContent): number {
  const { buffer } = content;
  let last = 0;
  for (let at = findBatchHeader(buffer, FILE_HEADER_BYTES, content); at >= 0; ) {
    const header = readBatchHeader(buffer, at, content);
    const isWhole = header !== undefined && checkRecords(buffer, header) === header.contentEnd;
    if (isWhole) last = header.index;
    at = findBatchHeader(buffer, isWhole ? header.contentEnd : at + 1, content);
  }
  return last;
}

/** The number of the batch with which a journal begins; undefined if its header is not whole. */
function firstBatchOf(content: JournalContent | undefined): number | undefined {
  return content && readBatchHeader(content.buffer, FILE_HEADER_BYTES, content)?.index;
}

/** Notes as lost what the lease says was durable, if no file has it any more. */
function noteUnserved(
  dir: string,
  plan: readonly PlannedJournal[],
  contents: ReadonlyMap<string, DamagedJournal>,
  { servedEpoch, servedBatch }: Served,
  position: JournalPosition | undefined,
  state: SalvageState,
): void {
  if (servedEpoch === 0 || servedEpoch < (plan.at(-1)?.epoch ?? position?.epoch ?? 0)) return;
  let last = position?.epoch === servedEpoch ? position.nextIndex - 1 : 0;
  let name = { epoch: servedEpoch, number: 0 };
  for (const { epoch, number } of plan) {
    if (epoch !== servedEpoch) continue;
    name = { epoch, number };
    const content = contents.get(journalName(name))?.content;
    if (content !== undefined) last = Math.max(last, lastBatchOf(content));
  }
  if (last >= servedBatch) return;
  const what = `the term's batches ${last + 1} to ${servedBatch} were durable, as the lease says, and no journal has them any more`;
  const path = `${dir}/journal/${journalName({ epoch: servedEpoch, number: name.number + 1 })}`;
  state.epoch = servedEpoch;
  state.lost(lostStretch(path, FILE_HEADER_BYTES, JOURNAL_BYTES, what, undefined));
}

/** The newest checkpoint that is not damaged; an older one only if the journals behind it exist. One that came after a term had begun from an older one does not count. */
async function readCheckpoint(
  fs: StoreFs,
  checkpoints: readonly FileInfo[],
  journals: ReadonlyMap<string, DamagedJournal>,
  storeId: string,
  newest: (FileId & { record: TermRecord }) | undefined,
  state: SalvageState,
): Promise<(Checkpoint & { id: FileId }) | undefined> {
  let isNewest = true;
  let found: (Checkpoint & { id: FileId }) | undefined;
  for (const { path, epoch, number } of [...checkpoints].reverse()) {
    if (newest !== undefined && epoch < newest.epoch && isLate({ epoch, number }, newest.record)) continue;
    try {
      const checkpoint = decodeCheckpoint(path, await readFileLeniently(fs, path), storeId);
      if (isNewest || journals.has(journalName(checkpoint.position)))
        found ??= { ...checkpoint, id: { epoch, number } };
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      state.mended(path, 0, 'the checkpoint is not whole');
    }
    isNewest = false;
  }
  return found;
}

/** Whether there was a checkpoint: journals are removed only after a checkpoint has replaced them. */
function isCheckpointMissing(
  journals: readonly FileInfo[],
  segments: readonly FileInfo[],
  contents: ReadonlyMap<string, DamagedJournal>,
  newest: (FileId & { record: TermRecord }) | undefined,
): boolean {
  const base = newest?.record.base;
  if (base !== undefined && base !== 'unknown') return true;
  const [oldest] = journals;
  // A checkpoint had stood for those that are gone between others.
  const hasGap = journals.some(({ epoch, number }, i) => {
    const before = journals[i - 1];
    return before?.epoch === epoch && number !== before.number + 1;
  });
  if (hasGap) return true;
  const first = oldest && termRecordOf(contents.get(journalName(oldest))?.content);
  if (
    oldest !== undefined &&
    (oldest.number > 1 || (first !== undefined && first !== 'torn' && first.accepted.length > 0))
  )
    return true;
  return segments.some(({ epoch }) => oldest === undefined || epoch < oldest.epoch);
}

function noteLostCheckpoint(dir: string, state: SalvageState, checkpoints: readonly FileInfo[]): void {
  state.isCheckpointLost = true;
  if (checkpoints.length === 0) state.mended(`${dir}/checkpoints`, 0, 'there is no checkpoint any more');
  state.also.push(
    'the checkpoint, and with it what only it has: clients, subscriptions, how far each durable and queue group had come, and channels without messages. ' +
      'Clients have to connect again, durables begin where their next subscription says. Those that the journals tell of go on from there, but what they had not acknowledged before that does not come again. Messages that a limit or a deletion had removed and that are still in segments may be there again: limits remove them anew',
  );
}

/**
 * Plans which journals lead to the newest state, as recovery does, with the files that exist. The newest term with a batch decides how
 * much of the older journals counts. If its record of that is damaged, everything in them counts that does not contradict it.
 */
function planDamagedJournals(
  journals: readonly FileInfo[],
  contents: ReadonlyMap<string, DamagedJournal>,
  checkpoint: Checkpoint | undefined,
  state: SalvageState,
): PlannedJournal[] {
  const position = checkpoint?.position;
  const base = position?.epoch ?? 0;
  const epochs = [...new Set(journals.map(({ epoch }) => epoch))].filter((epoch) => epoch > base).reverse();
  const batchesOf = (id: FileId): boolean => hasBatch(contents.get(journalName(id))?.content);
  const isAfter = (id: FileId): boolean => position === undefined || compareIds(id, position) >= 0;
  const planned = (id: FileId, acceptedEnd: number | undefined, isFollowed: boolean): PlannedJournal => {
    const from = position !== undefined && sameId(id, position) ? position.offset : FILE_HEADER_BYTES;
    return { epoch: id.epoch, number: id.number, from, acceptedEnd, isFollowed };
  };
  const ownOf = (epoch: number, firstNumber: number): PlannedJournal[] => {
    const last = journals.filter((id) => id.epoch === epoch && batchesOf(id)).at(-1)?.number ?? firstNumber;
    const own: PlannedJournal[] = [];
    // A later term makes its journal only after it has read all of this one: then a seemingly torn batch need not be torn.
    const isOpenedLater = journals.some((id) => id.epoch > epoch);
    for (let number = firstNumber; number <= last; number++) {
      own.push(planned({ epoch, number }, undefined, number < last || isOpenedLater));
    }
    return own;
  };
  for (const epoch of epochs) {
    const served = journals.some((id) => id.epoch === epoch && batchesOf(id));
    if (!served) continue;
    const record = termRecordOf(contents.get(journalName({ epoch, number: 1 }))?.content);
    if (record === 'torn') continue;
    const accepted = record?.accepted;
    const older =
      accepted?.filter(isAfter).map((entry) => planned(entry, entry.end, false)) ??
      journals
        .filter((id) => id.epoch < epoch && isAfter(id))
        .map((id) =>
          planned(
            id,
            undefined,
            journals.some((o) => o.epoch === id.epoch && o.number > id.number && batchesOf(o)),
          ),
        );
    if (accepted === undefined) {
      state.mended(
        `${contents.get(journalName({ epoch, number: 1 }))?.path ?? journalName({ epoch, number: 1 })}`,
        FILE_HEADER_BYTES,
        'the first record of the term, which says how far older journals counted, is not whole',
      );
    }
    const all = [...older, ...ownOf(epoch, 1)];
    if (position !== undefined) return all;
    // The lost checkpoint had replaced the missing journals, and those before them: messages stay in these, to which segments point.
    const missing = all.findLastIndex((id) => !journals.some((other) => sameId(other, id)));
    const first = all.findIndex((id, i) => i > missing && batchesOf(id));
    return first < 0 ? [] : all.slice(first);
  }
  return position === undefined ? [] : ownOf(position.epoch, position.number);
}

function hasBatch(content: JournalContent | undefined): boolean {
  return content !== undefined && findBatchHeader(content.buffer, FILE_HEADER_BYTES, content) >= 0;
}

/** Reads the first batch of a term. @returns undefined if it is damaged; 'torn' if nothing else was ever written */
function termRecordOf(content: JournalContent | undefined): TermRecord | 'torn' | undefined {
  if (content === undefined) return undefined;
  const { buffer } = content;
  const start = FILE_HEADER_BYTES + batchHeaderBytes(content);
  const end = checkRecord(buffer, start, buffer.length);
  const isHeaderWhole = readBatchHeader(buffer, FILE_HEADER_BYTES, content) !== undefined;
  if ((end < 0 || !isHeaderWhole) && findBatchHeader(buffer, FILE_HEADER_BYTES + 1, content) < 0)
    return 'torn';
  // The record's own CRC is right, even if the header of the batch is damaged.
  return end < 0 ? undefined : readTermRecord(buffer, start, end);
}
