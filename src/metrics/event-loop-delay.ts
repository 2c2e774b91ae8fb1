import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { Gauge, type Registry } from 'prom-client';

const RESOLUTION_MS = 10;
/** No shorter, however often somebody asks. */
const MIN_WINDOW_MS = 15_000;
const QUANTILES = [0.5, 0.99, 1];

/**
 * How long the event loop kept what was due waiting. Of the present window and the one before it, so that of several who ask,
 * each sees a stall since he asked last.
 */
export function watchEventLoopDelay(registry: Registry): void {
  let current = startWindow();
  let previous: IntervalHistogram | undefined;
  let sinceMs = performance.now();
  new Gauge({
    name: 'stanchion_event_loop_delay_seconds',
    help: 'How long the event loop kept what was due waiting, in the last two windows of 15 s or between scrapes',
    labelNames: ['quantile'],
    registers: [registry],
    collect() {
      for (const quantile of QUANTILES) {
        const seconds = Math.max(delayOf(current, quantile), delayOf(previous, quantile));
        this.set({ quantile: String(quantile) }, seconds);
      }
      if (performance.now() - sinceMs < MIN_WINDOW_MS) return;
      current.disable();
      previous = current;
      current = startWindow();
      sinceMs = performance.now();
    },
  });
}

function startWindow(): IntervalHistogram {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  return histogram;
}

/** Seconds beyond the time between two looks. */
function delayOf(histogram: IntervalHistogram | undefined, quantile: number): number {
  if (histogram === undefined || histogram.count === 0) return 0;
  return Math.max(0, histogram.percentile(quantile * 100) / 1e9 - RESOLUTION_MS / 1e3);
}
