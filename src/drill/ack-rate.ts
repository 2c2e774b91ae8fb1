// The rate of acks around a fault: `AckRate`.

const BUCKET_MS = 10;
/** The rate before a fault is the mean of this time. */
const BEFORE_BUCKETS = 100;
const WINDOW_BUCKETS = 10;
/** It has to stay so for this time, which begins with the window. */
const STAYS_BUCKETS = 100;
const SHARE = 0.9;

/**
 * Counts acks in buckets of time, and finds when clients were served as before a fault: the beginning of the first 100 ms in which at
 * least 90% as many acks came as in the mean of the second before the fault, if the same holds for the whole second that begins there.
 * All times are milliseconds of one monotonic clock.
 */
export class AckRate {
  /** The first is the one that began at `#firstMs`. */
  readonly #buckets: number[] = [];
  #firstMs: number;
  #faultMs: number | undefined;
  /** Acks of one bucket, before the fault. */
  #mean = 0;

  constructor(nowMs: number) {
    this.#firstMs = nowMs;
  }

  ack(nowMs: number): void {
    const index = this.#indexOf(nowMs);
    while (this.#buckets.length <= index) this.#buckets.push(0);
    this.#buckets[index]++;
    if (this.#faultMs === undefined) this.#forget();
  }

  /** Notes a fault. What was found of the one before is gone. */
  fault(nowMs: number): void {
    // A bucket is whole when the next one begins.
    const end = this.#indexOf(nowMs);
    const before = this.#buckets.slice(Math.max(0, end - BEFORE_BUCKETS), end);
    this.#mean = before.length === 0 ? 0 : sum(before) / Math.min(end, BEFORE_BUCKETS);
    this.#buckets.splice(0, end);
    this.#firstMs += end * BUCKET_MS;
    this.#faultMs = nowMs;
  }

  /** Time from the fault until clients were served as before it; undefined if they were not, or if that is not known yet. */
  asBeforeMs(nowMs: number): number | undefined {
    if (this.#faultMs === undefined || this.#mean === 0) return undefined;
    const end = this.#indexOf(nowMs);
    // The bucket of the fault has acks of the time before it.
    for (let from = 1; from + STAYS_BUCKETS <= end; from++) {
      if (this.#isAsBefore(from, WINDOW_BUCKETS) && this.#isAsBefore(from, STAYS_BUCKETS))
        return Math.max(0, this.#firstMs + from * BUCKET_MS - this.#faultMs);
    }
    return undefined;
  }

  #isAsBefore(from: number, count: number): boolean {
    return sum(this.#buckets.slice(from, from + count)) >= SHARE * this.#mean * count;
  }

  #indexOf(nowMs: number): number {
    return Math.max(0, Math.floor((nowMs - this.#firstMs) / BUCKET_MS));
  }

  /** Keeps what the mean before a fault needs. */
  #forget(): void {
    const needless = this.#buckets.length - 1 - BEFORE_BUCKETS;
    if (needless < BEFORE_BUCKETS) return;
    this.#buckets.splice(0, needless);
    this.#firstMs += needless * BUCKET_MS;
  }
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
