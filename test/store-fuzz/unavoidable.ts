import { journalName } from '../../src/files/file-names.js';
import type { BatchHeader } from '../../src/store/format/batch-format.js';
import { decodeCheckpoint } from '../../src/store/format/checkpoint-format.js';
import { FILE_HEADER_BYTES } from '../../src/store/format/file-header.js';
import { openJournalContent, scanJournal } from '../../src/store/journal/journal-reader.js';
import { must } from '../../src/util/assert.js';
import type { History } from './histories.js';
import { EMPTY, type FoundState, losses } from './ledger.js';
import type { Mutation } from './mutations.js';
import type { Picture } from './picture.js';

/**
 * Damage that looks like none, whatever is done. There is one kind: the end of what the newest term wrote.
 *
 * A batch is written behind the last one, into zeros, and nothing else changes on the disk but the counter in the lease's name. So a newest
 * journal whose last batches are zeros, or whose last batch is not whole, is what a crash leaves at an earlier moment: the batch that was
 * being written then was acknowledged to no client. Nothing on the disk says that it was acknowledged, and damaged later.
 *
 * It counts only if
 * - the newest journal file that has a batch is the only one that is touched, and it keeps its length,
 * - up to the end of one of its batches it is as it was (behind the term record, in the first file of a term; behind the position of the newest
 *   checkpoint), and then come zeros, or what is left of the next batch, and zeros,
 * - and exactly what was acknowledged up to an earlier commit is found.
 *
 * @returns why it cannot be seen; undefined if it must be
 */
export function unavoidable(history: History, mutation: Mutation, found: FoundState): string | undefined {
  if (!isEndOfNewestJournal(history.picture, mutation)) return undefined;
  const { ledger } = history;
  const isEarlier = [EMPTY, ...ledger.states].some((state) => losses(ledger, state, found).length === 0);
  return isEarlier ? 'the end of the newest journal is as a crash leaves it' : undefined;
}

function isEndOfNewestJournal(picture: Picture, mutation: Mutation): boolean {
  const newest = [...picture.files]
    .filter(([file, { bytes }]) => file.startsWith('journal/') && bytes.length > FILE_HEADER_BYTES)
    .map(([file]) => file)
    .sort()
    .at(-1);
  const [touched, ...others] = mutation.touched;
  if (newest === undefined || touched !== newest || others.length > 0) return false;
  const before = must(picture.files.get(newest), 'the newest journal is a file');
  const after = mutation.apply().files.get(newest);
  if (after === undefined || after.size !== before.size) return false;
  const ends = batchEnds(newest, before.bytes);
  // The first batch of a term's first file is its term record.
  if (newest.endsWith('.000001.log')) ends.shift();
  const least = checkpointedEnd(picture, newest);
  const was = (end: number): Buffer => before.bytes.subarray(0, end);
  return ends.some((end, i) => {
    if (end < least) return false;
    const now = Buffer.alloc(end);
    after.bytes.copy(now);
    return was(end).equals(now.subarray(0, was(end).length)) && after.bytes.length <= (ends[i + 1] ?? end);
  });
}

/** How much of a journal the newest checkpoint stands for. */
function checkpointedEnd({ files }: Picture, journal: string): number {
  const newest = [...files.keys()]
    .filter((file) => file.startsWith('checkpoints/'))
    .sort()
    .at(-1);
  const file = newest === undefined ? undefined : files.get(newest);
  if (newest === undefined || file === undefined) return 0;
  const content = Buffer.alloc(file.size);
  file.bytes.copy(content);
  const { position } = decodeCheckpoint(newest, content, content.toString('latin1', 24, 46));
  return `journal/${journalName(position)}` === journal ? position.offset : 0;
}

/** Where batches of a journal end, from the header on. */
function batchEnds(file: string, bytes: Buffer): number[] {
  const storeId = bytes.toString('latin1', 24, 46);
  const content = must(openJournalContent(file, bytes, storeId), 'the journal of a history is whole');
  const ends = [FILE_HEADER_BYTES];
  scanJournal(content, 0, 0, undefined, ({ contentEnd }: BatchHeader) => ends.push(contentEnd));
  return ends;
}
