import { MAX_MERGED_SEGMENTS } from '../segments/merge-reader.js';
import type { Segment } from '../segments/segment.js';

/** Segments of one size class are merged when there are so many: each message is rewritten log8(size) times. */
const FAN_IN = 8;
const SMALLEST_TIER_BYTES = 32 * 1024 * 1024;
/** Extents larger than this on average read well enough as they are. */
const SMALL_EXTENT_BYTES = 128 * 1024;
const MAX_MERGE_BYTES = 1024 * 1024 * 1024;

/**
 * The segments to merge next; none if nothing is due.
 *
 * @param isShort there is little room: the one of which least is alive, and only to give room back
 */
export function chooseSegments(segments: Iterable<Segment>, isShort = false): Set<Segment> {
  const tiers = new Map<number, Segment[]>();
  const sparse: Segment[] = [];
  for (const segment of segments) {
    if (segment.isDamaged || segment.liveBytes === 0) continue;
    if (segment.liveBytes * 2 < segment.bytes) sparse.push(segment);
    else if (segment.bytes < segment.extentCount * SMALL_EXTENT_BYTES) {
      const tier = tierOf(segment.bytes);
      const list = tiers.get(tier);
      if (list === undefined) tiers.set(tier, [segment]);
      else list.push(segment);
    }
  }
  if (isShort) return new Set(sparse.sort((a, b) => a.liveBytes - b.liveBytes).slice(0, 1));
  if (sparse.length > 0) return bounded(sparse);
  for (const list of tiers.values()) {
    if (list.length >= FAN_IN) {
      const chosen = bounded(list);
      if (chosen.size >= FAN_IN / 2) return chosen;
    }
  }
  return new Set();
}

function tierOf(bytes: number): number {
  let tier = 0;
  for (let size = SMALLEST_TIER_BYTES; size <= bytes; size *= FAN_IN) tier++;
  return tier;
}

function bounded(segments: readonly Segment[]): Set<Segment> {
  const chosen = new Set<Segment>();
  let bytes = 0;
  for (const segment of segments) {
    bytes += segment.liveBytes;
    if (chosen.size === MAX_MERGED_SEGMENTS || (chosen.size > 0 && bytes > MAX_MERGE_BYTES)) break;
    chosen.add(segment);
  }
  return chosen;
}
