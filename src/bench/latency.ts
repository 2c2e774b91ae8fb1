import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

/** Percentiles in microseconds. */
export interface LatencySummary {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

const NS_PER_MS = 1e6;
const NS_PER_US = 1e3;

/** Latencies in a histogram of three significant digits, whose size does not grow with their number. */
export class Latency {
  readonly #histogram: RecordableHistogram = createHistogram();

  record(milliseconds: number): void {
    this.#histogram.record(Math.max(1, Math.round(milliseconds * NS_PER_MS)));
  }

  add(other: Latency): void {
    this.#histogram.add(other.#histogram);
  }

  /** @returns null if nothing was recorded */
  summary(): LatencySummary | null {
    const histogram = this.#histogram;
    if (histogram.count === 0) return null;
    const micros = (nanoseconds: number): number => Math.round(nanoseconds / NS_PER_US);
    return {
      p50: micros(histogram.percentile(50)),
      p99: micros(histogram.percentile(99)),
      p999: micros(histogram.percentile(99.9)),
      max: micros(histogram.max),
    };
  }
}
