import { sumOf } from '../../util/sum-of.js';
import type { Body } from '../segments/body.js';
import { MAX_MERGED_SEGMENTS } from '../segments/merge-reader.js';
import type { Segment } from '../segments/segment.js';

/** Segments of one size class are merged when there are so many: each message is rewritten log8(size) times. */
const FAN_IN = 8;
const SMALLEST_TIER_BYTES = 32 * 1024 * 1024;
/** Bodies whose messages are to be sorted are, when there are so many. */
const BODIES_SORTED = 16;
/** Extents larger than this on average read well enough as they are. */
const SMALL_EXTENT_BYTES = 64 * 1024;
/** The same where the messages of others lie between: with more than some 16 channels in a journal file, a read finds little for one of them. */
const SMALL_MIXED_EXTENT_BYTES = 512 * 1024;
/** Larger messages gain nothing by lying beside each other. */
const SMALL_MESSAGE_BYTES = 4 * 1024;
/** Bodies smaller than this become one, whatever is in them: a broker that is restarted often makes many. */
const SMALL_BODY_BYTES = 512 * 1024;
/** Segments of rows that are smaller become one: each checkpoint makes one, however little there is to point to. */
const SMALL_INDEX_BYTES = 256 * 1024;
const MAX_MERGE_BYTES = 1024 * 1024 * 1024;

/** Something whose bytes are alive in part. */
interface Part {
  readonly isDamaged: boolean;
  readonly bytes: number;
  readonly liveBytes: number;
}

/** What may be merged next, and how urgent that is. */
export interface MergeCandidates {
  readonly segments: Iterable<Segment>;
  /** Those that the journal writes to no more. */
  readonly bodies: Iterable<Body>;
  /** There is little room: the one of which least is alive is chosen, and only to give room back. */
  readonly isShort: boolean;
  /** Bytes of no use that may lie about, beside half of what is alive: where limits drop the oldest, the rest of a file goes by itself. */
  readonly spareBytes: number;
}

/** The segments or bodies to merge next; none if nothing is due. */
export function chooseMerge(candidates: MergeCandidates): Set<Segment> | Set<Body> {
  const all = [...candidates.segments].filter(isMergeable);
  const segments = all.filter(({ recordBytes }) => recordBytes > 0);
  const bodies = [...candidates.bodies].filter(isMergeable);
  const sparseSegments = segments.filter(isSparse).sort(byLiveBytes);
  const sparseBodies = bodies.filter(isSparse).sort(byLiveBytes);
  if (candidates.isShort) {
    const [segment] = sparseSegments;
    const [body] = sparseBodies;
    if (segment === undefined || (body !== undefined && body.liveBytes < segment.liveBytes))
      return new Set(body === undefined ? [] : [body]);
    return new Set([segment]);
  }
  const liveBytes = sumOf([...segments, ...bodies], (part) => part.liveBytes);
  const deadBytes = sumOf([...segments, ...bodies], (part) => part.bytes - part.liveBytes);
  if (deadBytes > liveBytes / 2 + candidates.spareBytes) {
    if (sparseBodies.length > 0) return bounded(sparseBodies);
    if (sparseSegments.length > 0) return bounded(sparseSegments);
  }
  const unsorted = bodies.filter(isWorthSorting);
  if (unsorted.length >= BODIES_SORTED) return bounded(unsorted.sort(byAge));
  const indices = all.filter(({ recordBytes, bytes }) => recordBytes === 0 && bytes < SMALL_INDEX_BYTES);
  if (indices.length >= FAN_IN) return bounded(indices);
  return chooseTier(segments.filter((segment) => !isSparse(segment)));
}

function chooseTier(segments: readonly Segment[]): Set<Segment> {
  const tiers = new Map<number, Segment[]>();
  for (const segment of segments) {
    if (segment.bytes >= segment.extentCount * SMALL_EXTENT_BYTES) continue;
    const tier = tierOf(segment.bytes);
    const list = tiers.get(tier);
    if (list === undefined) tiers.set(tier, [segment]);
    else list.push(segment);
  }
  for (const list of tiers.values()) {
    if (list.length >= FAN_IN) {
      const chosen = bounded(list);
      if (chosen.size >= FAN_IN / 2) return chosen;
    }
  }
  return new Set();
}

function isMergeable({ isDamaged, liveBytes }: Part): boolean {
  return !isDamaged && liveBytes > 0;
}

function isSparse({ bytes, liveBytes }: Part): boolean {
  return liveBytes * 2 < bytes;
}

function isWorthSorting({ bytes, liveBytes, extentCount, messageCount }: Body): boolean {
  if (bytes < SMALL_BODY_BYTES) return true;
  return liveBytes < extentCount * SMALL_MIXED_EXTENT_BYTES && liveBytes < messageCount * SMALL_MESSAGE_BYTES;
}

function byLiveBytes(a: Part, b: Part): number {
  return a.liveBytes - b.liveBytes;
}

function byAge(a: Body, b: Body): number {
  return a.id.epoch - b.id.epoch || a.id.number - b.id.number;
}

function tierOf(bytes: number): number {
  let tier = 0;
  for (let size = SMALLEST_TIER_BYTES; size <= bytes; size *= FAN_IN) tier++;
  return tier;
}

function bounded<P extends Part>(parts: readonly P[]): Set<P> {
  const chosen = new Set<P>();
  let bytes = 0;
  for (const part of parts) {
    bytes += part.liveBytes;
    if (chosen.size === MAX_MERGED_SEGMENTS || (chosen.size > 0 && bytes > MAX_MERGE_BYTES)) break;
    chosen.add(part);
  }
  return chosen;
}
