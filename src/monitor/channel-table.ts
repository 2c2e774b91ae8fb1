import type { Broker } from '../broker/broker.js';
import type { Channel } from '../broker/state/channel.js';
import { sorted } from '../util/sorted.js';
import { Turns } from '../util/turns.js';
import { consumersOf } from './consumer.js';

const COLUMNS = ['name', 'messages', 'bytes', 'first', 'last', 'rate', 'lag', 'subscriptions'] as const;
export type ChannelColumn = (typeof COLUMNS)[number];

/** The channels that a page asks for, and their order. */
export interface ChannelQuery {
  /** A part of the name, in upper or lower case. */
  readonly q: string;
  readonly sort: ChannelColumn;
  readonly order: 'asc' | 'desc';
  readonly offset: number;
  readonly limit: number;
}

export interface ChannelRow {
  readonly name: string;
  readonly messages: number;
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
  /** New messages per second since the last table; null if there was none. */
  readonly rate: number | null;
  /** The lag of the durable or queue group that is furthest behind. */
  readonly lag: number;
  readonly subscriptions: number;
  /** Some of its messages cannot be read. Older members do not say it. */
  readonly isDamaged?: boolean;
}

export interface ChannelPage {
  /** How many channels the query finds. */
  readonly total: number;
  readonly offset: number;
  readonly rows: readonly ChannelRow[];
}

/** Limit of rows, so that an answer fits into one NATS message. */
const MAX_LIMIT = 200;
const DEFAULT_LIMIT = 50;
const MAX_QUERY = 200;
/** Limit of queries whose rows are kept in their order: pages of one table, and of a few open at the same time. */
const MAX_FOUND = 8;
/** Least age of the rows before they are made again: a rate over less time says nothing. */
const MIN_AGE_MS = 1_500;
/** Largest age of the last rows for a rate: beyond it the rate would not be current. */
const MAX_AGE_MS = 30_000;

/** The channels of a broker as a table. It is made for a request, and kept for requests right after it. */
export class ChannelTable {
  /** Weak, so that a standby that was active does not keep its old broker in memory. */
  #broker: WeakRef<Broker> | undefined;
  #madeMs = Number.NEGATIVE_INFINITY;
  #rows: ChannelRow[] = [];
  /** What was found in these rows, in its order, by query. */
  readonly #found = new Map<string, readonly ChannelRow[]>();
  #making: Promise<void> | undefined;

  /** @param read returns a parameter as text; null if it is absent */
  static queryOf(read: (name: string) => string | null): ChannelQuery {
    const sort = COLUMNS.find((column) => column === read('sort')) ?? 'name';
    return {
      q: (read('q') ?? '').slice(0, MAX_QUERY),
      sort,
      order: read('order') === 'desc' ? 'desc' : 'asc',
      offset: whole(read('offset'), 0, Number.MAX_SAFE_INTEGER),
      limit: Math.max(1, whole(read('limit'), DEFAULT_LIMIT, MAX_LIMIT)),
    };
  }

  async page(broker: Broker, { q, sort, order, offset, limit }: ChannelQuery): Promise<ChannelPage> {
    await this.#refresh(broker);
    const found = await this.#find(q.toLowerCase(), sort, order);
    const start = Math.min(offset, Math.max(0, found.length - 1));
    return { total: found.length, offset: start, rows: found.slice(start, start + limit) };
  }

  async #find(needle: string, sort: ChannelColumn, order: 'asc' | 'desc'): Promise<readonly ChannelRow[]> {
    const key = `${sort} ${order} ${needle}`;
    const known = this.#found.get(key);
    if (known !== undefined) return known;
    const rows = this.#rows;
    const turns = await Turns.begin();
    const matching: ChannelRow[] = [];
    for (const row of rows) {
      if (row.name.toLowerCase().includes(needle)) matching.push(row);
      if (turns.isOver) await turns.giveWay();
    }
    const sign = order === 'asc' ? 1 : -1;
    const found = await sorted(
      matching,
      (a, b) => sign * compare(a[sort], b[sort]) || compare(a.name, b.name),
      turns,
    );
    if (this.#rows === rows) {
      const [oldest] = this.#found.keys();
      if (oldest !== undefined && this.#found.size >= MAX_FOUND) this.#found.delete(oldest);
      this.#found.set(key, found);
    }
    return found;
  }

  #refresh(broker: Broker): Promise<void> {
    const isFresh = broker === this.#broker?.deref() && performance.now() - this.#madeMs < MIN_AGE_MS;
    if (isFresh) return Promise.resolve();
    this.#making ??= this.#make(broker).finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #make(broker: Broker): Promise<void> {
    const nowMs = performance.now();
    const ageMs = nowMs - this.#madeMs;
    const before = new Map<string, number>();
    if (broker === this.#broker?.deref() && ageMs <= MAX_AGE_MS)
      for (const { name, last } of this.#rows) before.set(name, last);
    const rows: ChannelRow[] = [];
    const { unreadable } = broker.store;
    const turns = await Turns.begin();
    for (const channel of broker.channels.all()) {
      const isDamaged = unreadable.of(channel.log).length > 0;
      rows.push(rowOf(channel, before.get(channel.name), ageMs, isDamaged));
      if (turns.isOver) await turns.giveWay();
    }
    this.#broker = new WeakRef(broker);
    this.#madeMs = nowMs;
    this.#rows = rows;
    this.#found.clear();
  }
}

function rowOf(
  channel: Channel,
  lastBefore: number | undefined,
  ageMs: number,
  isDamaged: boolean,
): ChannelRow {
  const { name, log } = channel;
  let lag = 0;
  for (const { inFlight, undelivered } of consumersOf(channel)) lag = Math.max(lag, inFlight + undelivered);
  return {
    name,
    messages: log.messageCount,
    bytes: log.byteCount,
    first: log.messageCount === 0 ? 0 : log.firstSequence,
    last: log.lastSequence,
    rate: lastBefore === undefined ? null : (log.lastSequence - lastBefore) / (ageMs / 1_000),
    lag,
    subscriptions: channel.subscriptionCount,
    isDamaged,
  };
}

function compare(a: string | number | null, b: string | number | null): number {
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : Number(a > b);
  return Number(a ?? -1) - Number(b ?? -1);
}

function whole(text: string | null, unlessGiven: number, max: number): number {
  return text !== null && /^\d{1,15}$/.test(text) ? Math.min(Number(text), max) : unlessGiven;
}
