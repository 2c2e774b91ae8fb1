import { DamageError } from '../../files/store-error.js';
import { MESSAGE_HEADER_BYTES } from '../format/record.js';
import { ROW_BYTES, rowOffset, rowSize } from '../format/segment-format.js';
import type { BlobReader, Blobs } from '../types/blobs.js';
import { namesOf, type ReadLog, type Unreadable } from '../types/unreadable.js';
import type { Body } from './body.js';
import { readRows } from './head-rows.js';
import type { Extent, Segment } from './segment.js';

/** A log whose messages lie in segments and bodies. */
export interface SegmentLog extends ReadLog {
  readonly extents: readonly Extent[];
}

/** What a checkpoint names: segments, and the journal files that they point into. */
export type NamedFile = Segment | Body;

/** A file that is not as the checkpoint says. */
export interface SegmentProblem {
  readonly file: NamedFile;
  /** For people. */
  readonly what: string;
  /** How far it can be read. */
  readonly bytes: number;
}

/** Finds out without a read whether a file is there, as long as it should be. */
export async function findLengthProblem(blobs: Blobs, file: NamedFile): Promise<SegmentProblem | undefined> {
  const { leastBytes } = file;
  const bytes = await blobs.size(file, leastBytes);
  if (bytes === undefined) return { file, what: 'the file is missing', bytes: 0 };
  if (bytes >= leastBytes) return undefined;
  return { file, what: `the file has ${bytes} bytes instead of ${leastBytes}`, bytes };
}

/** Messages that a problem makes unreadable. */
interface Hit {
  readonly channel: string;
  readonly first: number;
  readonly last: number;
}

/** Marks the messages that cannot be read for these problems. @returns what was hit in each file */
export async function markUnreadable(
  blobs: BlobReader,
  problems: readonly SegmentProblem[],
  logs: Iterable<SegmentLog>,
  unreadable: Unreadable,
): Promise<Map<NamedFile, Hit[]>> {
  const byFile = new Map(problems.map((problem) => [problem.file, problem]));
  const hits = new Map<NamedFile, Hit[]>(problems.map(({ file }) => [file, []]));
  for (const log of logs) {
    for (const extent of log.extents.slice()) {
      const problem = byFile.get(extent.segment) ?? (extent.body && byFile.get(extent.body));
      if (problem === undefined) continue;
      const found = await firstUnreadable(blobs, extent, problem);
      const first = Math.max(found, log.firstSequence);
      const { last } = extent;
      if (first > last) continue;
      unreadable.note(log, first, last, problem.file.path, new Error(problem.what));
      hits.get(problem.file)?.push({ channel: log.name, first, last });
    }
  }
  return hits;
}

/** The first message of an extent that a problem of one of its files makes unreadable; behind its last one if none. */
async function firstUnreadable(
  blobs: BlobReader,
  extent: Extent,
  { file, bytes }: SegmentProblem,
): Promise<number> {
  const { first, last, count, body, offset, totalBytes } = extent;
  if (file !== body) return offset + totalBytes <= bytes ? last + 1 : first;
  if (bytes === 0) return first;
  if (bytes >= body.end) return last + 1;
  let rows: Buffer;
  try {
    rows = await readRows(blobs, extent, first, count);
  } catch (error) {
    if (error instanceof DamageError) return first;
    throw error;
  }
  for (let i = 0; i < count; i++) {
    const at = i * ROW_BYTES;
    if (rowOffset(rows, at) + MESSAGE_HEADER_BYTES + rowSize(rows, at) > bytes) return first + i;
  }
  return last + 1;
}

/** The messages of a file that is whole again are taken out. */
export function unmark(file: NamedFile, logs: Iterable<SegmentLog>, unreadable: Unreadable): void {
  for (const log of logs) {
    for (const extent of log.extents)
      if (extent.segment === file || extent.body === file)
        unreadable.wereRead(log, extent.first, extent.last);
  }
}

/** What is known of a problem, for the log. */
export function textOf({ file, what }: SegmentProblem, hits: readonly Hit[]): string {
  const [first] = hits;
  const others = new Set(hits.map(({ channel }) => channel)).size - 1;
  const more = others > 0 ? `, and messages of ${others} other channel${others === 1 ? '' : 's'}` : '';
  const lost =
    first === undefined
      ? 'No message is lost with it so far'
      : `${namesOf(first)}${more} cannot be read: subscriptions that are to get them wait there. Everything else is served`;
  return (
    `${file.path}: ${what}. ${lost}. Put the file back from a backup (it is noticed while the broker runs), ` +
    'or see `stanchion store repair --dry-run` and docs/damage.md'
  );
}
