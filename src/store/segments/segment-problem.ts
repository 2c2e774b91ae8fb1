import {
  decodeFooter,
  FOOTER_BYTES,
  footerCrcOf,
  isSameFile,
  type SegmentFile,
} from '../format/segment-format.js';
import type { Blobs } from '../types/blobs.js';
import { namesOf, type ReadLog, type Unreadable } from '../types/unreadable.js';
import type { Extent, Segment } from './segment.js';
import { readSegmentDirectory } from './segment-scan.js';

/** A log whose messages lie in segments. */
export interface SegmentLog extends ReadLog {
  readonly extents: readonly Extent[];
}

/** A segment that is not as the checkpoint says. */
export interface SegmentProblem {
  readonly segment: Segment;
  /** For people. */
  readonly what: string;
  /** How far it can be read. */
  readonly bytes: number;
}

/** Finds out without a read whether a segment is there, as long as it should be. */
export async function findLengthProblem(blobs: Blobs, segment: Segment): Promise<SegmentProblem | undefined> {
  const { leastBytes } = segment;
  const bytes = await blobs.size(segment, leastBytes);
  if (bytes === undefined) return { segment, what: 'the file is missing', bytes: 0 };
  if (bytes >= leastBytes) return undefined;
  return { segment, what: `the file has ${bytes} bytes instead of ${leastBytes}`, bytes };
}

/** Reads the footer of a segment of the right length, and compares it with what the checkpoint says. Where that says nothing, it is noted. */
export async function findFooterProblem(blobs: Blobs, segment: Segment): Promise<SegmentProblem | undefined> {
  const { file } = segment;
  const bytes = file?.bytes ?? (await blobs.size(segment, segment.leastBytes)) ?? 0;
  const found = await footerAt(blobs, segment, bytes);
  if (file === undefined) {
    // Something may have appended bytes, which are behind its end.
    segment.file = found ?? (await footerBefore(blobs, segment, bytes));
    return segment.file === undefined ? { segment, what: 'its footer is not whole', bytes } : undefined;
  }
  if (found === undefined) return { segment, what: 'its footer is not whole', bytes };
  return isSameFile(found, file)
    ? undefined
    : { segment, what: 'its footer is another one than the checkpoint names', bytes };
}

/** A file that ends with this footer, if it is whole. */
async function footerAt(blobs: Blobs, segment: Segment, bytes: number): Promise<SegmentFile | undefined> {
  const footer = Buffer.alloc(FOOTER_BYTES);
  const read = await blobs.read(segment, footer, Math.max(0, bytes - FOOTER_BYTES));
  if (read < FOOTER_BYTES || decodeFooter(footer) === undefined) return undefined;
  return { bytes, footerCrc: footerCrcOf(footer) };
}

/** The file up to the last footer that is whole, if all that logs refer to is before that. */
async function footerBefore(blobs: Blobs, segment: Segment, bytes: number): Promise<SegmentFile | undefined> {
  const source = {
    read: (buffer: Buffer, start: number, end: number, position: number) =>
      blobs.read(segment, buffer.subarray(start, end), position),
  };
  const file = (await readSegmentDirectory(source, bytes))?.file;
  return file !== undefined && file.bytes >= segment.leastBytes ? file : undefined;
}

/** Messages that a problem makes unreadable. */
interface Hit {
  readonly channel: string;
  readonly first: number;
  readonly last: number;
}

/** Marks the messages that cannot be read for these problems. @returns what was hit in each segment */
export function markUnreadable(
  problems: readonly SegmentProblem[],
  logs: Iterable<SegmentLog>,
  unreadable: Unreadable,
): Map<Segment, Hit[]> {
  const bySegment = new Map(problems.map((problem) => [problem.segment, problem]));
  const hits = new Map<Segment, Hit[]>(problems.map(({ segment }) => [segment, []]));
  for (const log of logs) {
    for (const extent of log.extents) {
      const problem = bySegment.get(extent.segment);
      if (problem === undefined || extent.offset + extent.totalBytes <= problem.bytes) continue;
      const first = Math.max(extent.first, log.firstSequence);
      const { last } = extent;
      const { path } = extent.segment;
      unreadable.note(log, first, last, path, new Error(problem.what));
      hits.get(extent.segment)?.push({ channel: log.name, first, last });
    }
  }
  return hits;
}

/** The messages of a segment that is whole again are taken out. */
export function unmark(segment: Segment, logs: Iterable<SegmentLog>, unreadable: Unreadable): void {
  for (const log of logs) {
    for (const extent of log.extents)
      if (extent.segment === segment) unreadable.wereRead(log, extent.first, extent.last);
  }
}

/** What is known of a problem, for the log. */
export function textOf({ segment, what }: SegmentProblem, hits: readonly Hit[]): string {
  const [first] = hits;
  const others = new Set(hits.map(({ channel }) => channel)).size - 1;
  const more = others > 0 ? `, and messages of ${others} other channel${others === 1 ? '' : 's'}` : '';
  const lost =
    first === undefined
      ? 'No message is lost with it so far'
      : `${namesOf(first)}${more} cannot be read: subscriptions that are to get them wait there. Everything else is served`;
  return (
    `${segment.path}: ${what}. ${lost}. Put the file back from a backup (it is noticed while the broker runs), ` +
    'or see `stanchion store repair --dry-run` and docs/damage.md'
  );
}
