import type { Buckets, Summary } from '../monitor/view.js';

/** The series of the charts. Each has a number per sample, or null if it is unknown. */
export const SERIES = [
  'published',
  'delivered',
  'publishedBytes',
  'deliveredBytes',
  'ackP50',
  'ackP99',
  'deliveryP50',
  'deliveryP99',
  'redelivered',
  'messages',
  'bytes',
  'inFlight',
  'maxLag',
  'clients',
] as const;
export type SeriesName = (typeof SERIES)[number];

/** One sample: its time in seconds since 1970, and the value of each series. Rates are per second, durations in seconds. */
export type Point = Record<SeriesName, number | null> & { readonly time: number };

export const SAMPLE_MS = 2_000;
/** A rate is computed only from two samples that are no further apart. */
const MAX_STEP_MS = 3 * SAMPLE_MS;
const HOUR_SAMPLES = 3_600_000 / SAMPLE_MS;

/** The samples of the last hour. */
export class History {
  readonly #points: Point[] = [];
  #before: { summary: Summary; atMs: number } | undefined;

  /**
   * Adds a sample.
   *
   * @param summary undefined if no broker has answered
   * @returns the new points: one, or two if a gap comes before it because this process was paused
   */
  add(summary: Summary | undefined, atMs: number): readonly Point[] {
    const point = pointOf(summary, this.#before, atMs);
    this.#before = summary && { summary, atMs };
    const last = this.#points.at(-1);
    // A line across a pause would suggest that all was well meanwhile.
    const isGap = last !== undefined && (point.time - last.time) * 1_000 > MAX_STEP_MS;
    const points = isGap ? [pointOf(undefined, undefined, last.time * 1_000 + SAMPLE_MS), point] : [point];
    this.#points.push(...points);
    while (this.#points.length > HOUR_SAMPLES) this.#points.shift();
    return points;
  }

  /** The samples as columns, oldest first: the times, and each series. Each is made when its turn comes. */
  *columns(): Generator<[name: SeriesName | 'time', values: (number | null)[]]> {
    yield ['time', this.#points.map(({ time }) => time)];
    for (const name of SERIES) yield [name, this.#points.map((point) => rounded(point[name]))];
  }
}

function pointOf(
  now: Summary | undefined,
  before: { summary: Summary; atMs: number } | undefined,
  atMs: number,
): Point {
  const point = { time: Math.round(atMs / 1000) } as Point;
  for (const name of SERIES) point[name] = null;
  if (now === undefined) return point;
  point.messages = now.messages;
  point.bytes = now.bytes;
  point.inFlight = now.inFlight;
  point.maxLag = now.maxLag;
  point.clients = now.clients;
  // There is no rate between counters of two processes, nor across a pause of this one.
  if (before === undefined || before.summary.serverId !== now.serverId) return point;
  if (atMs - before.atMs > MAX_STEP_MS) return point;
  const was = before.summary;
  const seconds = (atMs - before.atMs) / 1_000;
  const rate = (of: (summary: Summary) => number): number | null => {
    const change = of(now) - of(was);
    return change < 0 || seconds <= 0 ? null : change / seconds;
  };
  point.published = rate(({ messagesIn }) => messagesIn);
  point.delivered = rate(({ messagesOut }) => messagesOut);
  point.publishedBytes = rate(({ bytesIn }) => bytesIn);
  point.deliveredBytes = rate(({ bytesOut }) => bytesOut);
  point.redelivered = rate(({ redeliveries }) => redeliveries);
  point.ackP50 = quantile(0.5, was.publishAck, now.publishAck);
  point.ackP99 = quantile(0.99, was.publishAck, now.publishAck);
  point.deliveryP50 = quantile(0.5, was.delivery, now.delivery);
  point.deliveryP99 = quantile(0.99, was.delivery, now.delivery);
  return point;
}

/** A quantile of the values observed between two readings, as if spread evenly in each bucket; null if there were none. */
export function quantile(share: number, before: Buckets, after: Buckets): number | null {
  const count = after.count - before.count;
  if (count <= 0) return null;
  const rank = share * count;
  let below = 0;
  for (let i = 0; i < after.bounds.length; i++) {
    const inBucket = after.counts[i] - (before.counts[i] ?? 0);
    if (inBucket > 0 && below + inBucket >= rank) {
      const lower = i === 0 ? 0 : after.bounds[i - 1];
      return lower + (after.bounds[i] - lower) * ((rank - below) / inBucket);
    }
    below += inBucket;
  }
  return after.bounds.at(-1) ?? null;
}

function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(5));
}
