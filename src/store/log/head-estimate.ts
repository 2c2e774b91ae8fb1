import { HeadRows } from '../segments/head-rows.js';
import type { Extent } from '../segments/segment.js';
import type { Blobs } from '../types/blobs.js';

/** Messages that are dropped by an estimate before their rows are looked for again. */
const ROWS_AT_ONCE = 256;
/** Extents that are asked for a time where the oldest has none. */
const MAX_ASKED = 3;

/** What is assumed of a log's oldest messages where their rows cannot be read: limits go on, and what is behind them does not stay beyond its age. */
export class HeadEstimate {
  readonly #warn: (error: unknown) => void;
  #goneUntil = 0;
  #oldest: Extent | undefined;
  #ms = 0;

  constructor(warn: (error: unknown) => void) {
    this.#warn = warn;
  }

  /** The rows from this message on could not be read, which lies in this extent. */
  rowsGone(sequence: number, extent: Extent): void {
    this.#goneUntil = Math.min(sequence + ROWS_AT_ONCE, extent.last + 1);
  }

  /** The row of this message was not there a moment ago: each look would be a call to the file system, in the middle of an append. */
  isGone(sequence: number): boolean {
    return sequence < this.#goneUntil;
  }

  /**
   * A time that the oldest message was not stored after: that of the first message behind its segment.
   *
   * @param newestMs the same for what is in no segment
   */
  ms(blobs: Blobs, extents: readonly Extent[], newestMs: () => number): number {
    const [oldest] = extents;
    if (oldest !== undefined && oldest !== this.#oldest) {
      this.#oldest = oldest;
      this.#ms = this.#firstBehind(blobs, oldest, extents) ?? newestMs();
    }
    return this.#ms;
  }

  #firstBehind(blobs: Blobs, oldest: Extent, extents: readonly Extent[]): number | undefined {
    const behind = extents.filter(({ isGap, segment }) => !isGap && segment !== oldest.segment);
    for (const extent of behind.slice(0, MAX_ASKED)) {
      try {
        return new HeadRows(this.#warn).timestampMs(blobs, [extent], extent.first);
      } catch (error) {
        this.#warn(error);
      }
    }
    return undefined;
  }
}
