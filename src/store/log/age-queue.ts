import { assert, must } from '../../util/assert.js';

/** How many messages are dropped between two looks at the time. */
const DROPPED_AT_ONCE = 256;

/** Something whose oldest message expires at some time. */
export interface Ageing {
  /** When its oldest message expires, ms since 1970; Infinity if it has none or no limit. */
  headExpiresAtMs(): number;
  /** Drops the oldest messages that have expired at `nowMs`, at most `max`. */
  dropExpired(nowMs: number, max: number): void;
  /** The queue's own: where the log stands in it, -1 if it does not. */
  ageQueueIndex: number;
  /** The queue's own: what it is sorted by. At or before the true time. */
  ageQueueKeyMs: number;
}

/**
 * Logs by the time at which their oldest message expires: a binary heap. A head that moves on does not touch the heap;
 * the key is put right when it comes up, so that appending costs nothing.
 */
export class AgeQueue {
  readonly #heap: Ageing[] = [];

  /** Idempotent. Call when a log with a limit on age gets its first message, or its limit. */
  add(log: Ageing): void {
    const expiresAtMs = log.headExpiresAtMs();
    if (expiresAtMs === Number.POSITIVE_INFINITY) return;
    if (log.ageQueueIndex < 0) {
      log.ageQueueIndex = this.#heap.length;
      this.#heap.push(log);
    } else if (log.ageQueueKeyMs <= expiresAtMs) return;
    log.ageQueueKeyMs = expiresAtMs;
    this.#up(log.ageQueueIndex);
  }

  remove(log: Ageing): void {
    const index = log.ageQueueIndex;
    if (index < 0) return;
    assert(this.#heap[index] === log, 'a log stands in the queue where it says');
    log.ageQueueIndex = -1;
    const last = must(this.#heap.pop(), 'a log that is queued is in the heap');
    if (last === log) return;
    this.#heap[index] = last;
    last.ageQueueIndex = index;
    this.#up(index);
    this.#down(last.ageQueueIndex);
  }

  /** Messages have become older: what it is sorted by is looked up again. */
  recheck(): void {
    for (const log of this.#heap.slice()) this.add(log);
  }

  /** When there may be something to drop, ms since 1970; Infinity if never. */
  nextMs(): number {
    for (;;) {
      const top = this.#heap[0];
      if (top === undefined) return Number.POSITIVE_INFINITY;
      const expiresAtMs = top.headExpiresAtMs();
      if (expiresAtMs === top.ageQueueKeyMs) return expiresAtMs;
      this.#correct(top, expiresAtMs);
    }
  }

  /** Drops what has expired at `nowMs`, until `isOver` is true: there may be millions of messages, and the rest can wait. */
  dropExpired(nowMs: number, isOver: () => boolean): void {
    do {
      const top = this.#heap[0];
      if (top === undefined || top.ageQueueKeyMs > nowMs) return;
      top.dropExpired(nowMs, DROPPED_AT_ONCE);
      this.#correct(top, top.headExpiresAtMs());
    } while (!isOver());
  }

  /** Drops of one log what has expired, as much as is dropped between two looks at the time. @returns whether that was all */
  dropExpiredOf(log: Ageing, nowMs: number): boolean {
    log.dropExpired(nowMs, DROPPED_AT_ONCE);
    const expiresAtMs = log.headExpiresAtMs();
    if (log.ageQueueIndex >= 0) this.#correct(log, expiresAtMs);
    return expiresAtMs > nowMs;
  }

  #correct(log: Ageing, expiresAtMs: number): void {
    if (expiresAtMs === Number.POSITIVE_INFINITY) {
      this.remove(log);
      return;
    }
    log.ageQueueKeyMs = expiresAtMs;
    this.#up(log.ageQueueIndex);
    this.#down(log.ageQueueIndex);
  }

  #up(from: number): void {
    const log = this.#at(from);
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = this.#at(parent);
      if (above.ageQueueKeyMs <= log.ageQueueKeyMs) break;
      this.#put(index, above);
      index = parent;
    }
    this.#put(index, log);
  }

  #down(from: number): void {
    const log = this.#at(from);
    let index = from;
    for (;;) {
      let child = 2 * index + 1;
      let below = this.#heap[child];
      if (below === undefined) break;
      const other = this.#heap[child + 1];
      if (other !== undefined && other.ageQueueKeyMs < below.ageQueueKeyMs) {
        below = other;
        child++;
      }
      if (below.ageQueueKeyMs >= log.ageQueueKeyMs) break;
      this.#put(index, below);
      index = child;
    }
    this.#put(index, log);
  }

  #at(index: number): Ageing {
    return must(this.#heap[index], 'the heap has no holes');
  }

  #put(index: number, log: Ageing): void {
    this.#heap[index] = log;
    log.ageQueueIndex = index;
  }
}
