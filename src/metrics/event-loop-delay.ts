import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';

const NAME = 'stanchion_event_loop_delay_seconds';
const RESOLUTION_MS = 10;
const MIN_WINDOW_MS = 15_000;
const QUANTILES = [0.5, 0.99, 1];

/**
 * The delay of the event loop: how long due work had to wait. The quantiles cover the present window and the one before it, so that
 * each of several scrapers sees a stall since its last scrape. Sum and count cover all time.
 */
export class EventLoopDelay {
  readonly #minWindowMs: number;
  #current = startWindow();
  #previous: IntervalHistogram | undefined;
  #sinceMs = performance.now();
  /** The sum over the windows before the present one. */
  #count = 0;
  #sum = 0;
  #shownSum = 0;

  /** @param minWindowMs least length of a window, however often there are scrapes */
  constructor(minWindowMs = MIN_WINDOW_MS) {
    this.#minWindowMs = minWindowMs;
  }

  /** The summary in Prometheus' text format. */
  text(): string {
    let text = `# HELP ${NAME} Delay of the event loop: how long due work had to wait; quantiles of the last two windows of 15 s or between scrapes\n`;
    text += `# TYPE ${NAME} summary\n`;
    for (const quantile of QUANTILES) {
      const seconds = Math.max(delayOf(this.#current, quantile), delayOf(this.#previous, quantile));
      text += `${NAME}{quantile="${quantile}"} ${seconds}\n`;
    }
    const count = this.#count + this.#current.count;
    const sum = this.#sum + sumOf(this.#current);
    // A tick may come a little early, and Prometheus takes a falling sum for a restart.
    this.#shownSum = Math.max(this.#shownSum, sum);
    text += `${NAME}_sum ${this.#shownSum}\n${NAME}_count ${count}\n`;
    if (performance.now() - this.#sinceMs >= this.#minWindowMs) this.#startNext();
    return text;
  }

  #startNext(): void {
    this.#current.disable();
    this.#count += this.#current.count;
    this.#sum += sumOf(this.#current);
    this.#previous = this.#current;
    this.#current = startWindow();
    this.#sinceMs = performance.now();
  }
}

function startWindow(): IntervalHistogram {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  return histogram;
}

/** The delay in seconds: the time beyond the interval of the ticks. */
function delayOf(histogram: IntervalHistogram | undefined, quantile: number): number {
  if (histogram === undefined || histogram.count === 0) return 0;
  return Math.max(0, histogram.percentile(quantile * 100) / 1e9 - RESOLUTION_MS / 1e3);
}

function sumOf({ count, mean }: IntervalHistogram): number {
  return count === 0 ? 0 : Math.max(0, count * (mean / 1e9 - RESOLUTION_MS / 1e3));
}
