import type { Buckets, Summary } from '../monitor/view.js';

/** What the charts show, a number for each moment; null where nothing is known. */
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

/** Seconds since 1970, and the value of each series. Rates are per second, times in seconds. */
export type Point = Record<SeriesName, number | null> & { readonly time: number };

export const SAMPLE_MS = 2_000;
/** Between two samples that a rate is made of. */
const MAX_STEP_MS = 3 * SAMPLE_MS;
const HOUR_SAMPLES = 3_600_000 / SAMPLE_MS;

/** The last hour, sample by sample. */
export class History {
  readonly #points: Point[] = [];
  #before: { summary: Summary; atMs: number } | undefined;

  /** @param summary undefined: nobody has answered. @returns the new point; before it a gap, if this process has stood still */
  add(summary: Summary | undefined, atMs: number): readonly Point[] {
    const point = pointOf(summary, this.#before, atMs);
    this.#before = summary && { summary, atMs };
    const last = this.#points.at(-1);
    // A line from before to now would say that all was well meanwhile.
    const isGap = last !== undefined && (point.time - last.time) * 1_000 > MAX_STEP_MS;
    const points = isGap ? [pointOf(undefined, undefined, last.time * 1_000 + SAMPLE_MS), point] : [point];
    this.#points.push(...points);
    while (this.#points.length > HOUR_SAMPLES) this.#points.shift();
    return points;
  }

  /** Column by column, oldest first: the times, then each series. */
  columns(): Record<SeriesName | 'time', (number | null)[]> {
    const columns = { time: this.#points.map(({ time }) => time) } as Record<
      SeriesName | 'time',
      (number | null)[]
    >;
    for (const name of SERIES) columns[name] = this.#points.map((point) => rounded(point[name]));
    return columns;
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
  // Counters of another process do not follow on these; nor is a pause of this one a sample's time.
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

/** Of what was observed in between, within its bucket as if evenly spread; null if nothing was. */
export function quantile(share: number, before: Buckets, after: Buckets): number | null {
  const count = after.count - before.count;
  if (count <= 0) return null;
  const rank = share * count;
  let below = 0;
  for (let i = 0; i < after.bounds.length; i++) {
    const inBucket = after.counts[i]! - (before.counts[i] ?? 0);
    if (inBucket > 0 && below + inBucket >= rank) {
      const lower = i === 0 ? 0 : after.bounds[i - 1]!;
      return lower + (after.bounds[i]! - lower) * ((rank - below) / inBucket);
    }
    below += inBucket;
  }
  return after.bounds.at(-1) ?? null;
}

function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(5));
}
