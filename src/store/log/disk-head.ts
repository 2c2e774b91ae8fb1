import { shortageOf } from '../../files/store-error.js';
import { HeadRows } from '../segments/head-rows.js';
import type { Extent } from '../segments/segment.js';
import { HeadEstimate } from './head-estimate.js';
import type { LogParts } from './log-parts.js';

/** A log whose oldest message may be on disk only. */
export interface HeadedLog {
  readonly name: string;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly flushedThrough: number;
  readonly byteCount: number;
  readonly messageCount: number;
  readonly lastActivityMs: number;
  readonly extents: readonly Extent[];
  timestampInMemory(sequence: number): number | undefined;
}

/**
 * The oldest message of a log, while it is on disk only: limits ask for its size and its time. Where its row cannot be read, limits go on
 * with an estimate: a damaged index must not stop what is whole.
 */
export class DiskHead {
  readonly #log: HeadedLog;
  readonly #parts: LogParts;
  readonly #rows = new HeadRows((error) => this.#warnOfRow(error));
  readonly #estimate = new HeadEstimate((error) => this.#warnOfRow(error));
  #hasWarned = false;

  constructor(log: HeadedLog, parts: LogParts) {
    this.#log = log;
    this.#parts = parts;
  }

  /** The store's own time, ms since 1970. */
  timestampMs(): number {
    const { firstSequence, extents } = this.#log;
    if (this.#estimate.isGone(firstSequence)) return this.#estimatedMs();
    try {
      return this.#rows.timestampMs(this.#parts.segments.blobs, extents, firstSequence);
    } catch (error) {
      this.#noteRow(error);
      return this.#estimatedMs();
    }
  }

  /** The bytes of its MsgProto. */
  bytes(): number {
    const { firstSequence, extents, byteCount, messageCount } = this.#log;
    const estimate = Math.floor(byteCount / messageCount);
    if (this.#estimate.isGone(firstSequence)) return estimate;
    try {
      return this.#rows.size(this.#parts.segments.blobs, extents, firstSequence);
    } catch (error) {
      this.#noteRow(error);
      return estimate;
    }
  }

  #estimatedMs(): number {
    const log = this.#log;
    return this.#estimate.ms(this.#parts.segments.blobs, log.extents, () => {
      const first = log.flushedThrough + 1;
      const inMemory = first <= log.lastSequence ? log.timestampInMemory(first) : undefined;
      return inMemory ?? log.lastActivityMs + this.#parts.time.leadMs;
    });
  }

  #noteRow(error: unknown): void {
    this.#warnOfRow(error);
    const { firstSequence, extents } = this.#log;
    const [oldest] = extents;
    if (oldest !== undefined && shortageOf(error) === undefined)
      this.#estimate.rowsGone(firstSequence, oldest);
  }

  #warnOfRow(error: unknown): void {
    if (this.#hasWarned || shortageOf(error) !== undefined) return;
    this.#hasWarned = true;
    this.#parts.warn(`Limits of channel ${this.#log.name} use estimates: ${(error as Error).message}`);
  }
}
