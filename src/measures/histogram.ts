/**
 * Counts values by size. Observing a value searches a short array and allocates nothing, so it is cheap enough for each batch.
 */
export class Histogram {
  /** Upper bounds of the buckets, ascending. Values above the last bound are only in `count`. */
  readonly bounds: readonly number[];
  /** The count of each bucket, without those below it. */
  readonly counts: number[];
  count = 0;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = bounds.map(() => 0);
  }

  /** @param times how many values of this size there were */
  observe(value: number, times = 1): void {
    this.count += times;
    this.sum += value * times;
    const { bounds } = this;
    for (let i = 0; i < bounds.length; i++) {
      if (value <= bounds[i]) {
        this.counts[i] += times;
        return;
      }
    }
  }
}

/** From 50 microseconds, a rename on a local disk, to 30 seconds, an outage. */
export const DURATION_BOUNDS: readonly number[] = [
  ...[50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05],
  ...[0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
];

/** From 256 bytes to 4 MiB, in powers of four. */
export const BYTE_BOUNDS: readonly number[] = Array.from({ length: 8 }, (_, i) => 256 * 4 ** i);

/** From 1 to 16,384, in powers of four. */
export const COUNT_BOUNDS: readonly number[] = Array.from({ length: 8 }, (_, i) => 4 ** i);
