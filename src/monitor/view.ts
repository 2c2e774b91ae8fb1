import type { Broker } from '../broker/broker.js';
import type { Channel } from '../broker/state/channel.js';
import type { Histogram } from '../measures/histogram.js';
import type { Measures } from '../measures/measures.js';
import { type Fields, isObject } from '../util/fields.js';
import { Turns } from '../util/turns.js';
import { type ChannelPage, type ChannelQuery, ChannelTable } from './channel-table.js';
import { type Subscriptionz, subscriptionsOf } from './subscriptionz.js';
import { Survey } from './survey.js';

// The dashboard's view of a broker: what the active answers, in its own process or through NATS.

/** A request of a dashboard to the active. */
export type ViewRequest =
  | { readonly kind: 'summary' }
  | ({ readonly kind: 'channels' } & ChannelQuery)
  | { readonly kind: 'channel'; readonly name: string };

/** The buckets of a histogram. */
export interface Buckets {
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly count: number;
}

/** Sums over all channels. Counters run since the start of the broker. */
export interface Summary {
  /** Identifies the process, whose counters cannot be compared with those of another one. */
  readonly serverId: string;
  readonly node: string;
  readonly messagesIn: number;
  readonly bytesIn: number;
  readonly messagesOut: number;
  readonly bytesOut: number;
  readonly acks: number;
  readonly redeliveries: number;
  readonly refused: number;
  readonly messages: number;
  readonly bytes: number;
  readonly channels: number;
  readonly clients: number;
  readonly online: number;
  readonly offline: number;
  readonly stalled: number;
  readonly inFlight: number;
  readonly maxLag: number;
  /** Why the store refuses messages; null if it does not. */
  readonly full: string | null;
  /** Seconds from a publish to its ack, and to its delivery. */
  readonly publishAck: Buckets;
  readonly delivery: Buckets;
}

export interface SubscriptionRow {
  readonly client: string;
  readonly kind: 'regular' | 'durable' | 'queue' | 'durable queue';
  readonly name: string;
  readonly lastSent: number;
  readonly lag: number;
  readonly inFlight: number;
  readonly maxInFlight: number;
  readonly isStalled: boolean;
  readonly isOffline: boolean;
}

export interface ChannelDetail {
  readonly name: string;
  readonly first: number;
  readonly last: number;
  readonly messages: number;
  readonly bytes: number;
  readonly lastActivityMs: number;
  /** Messages that cannot be read, the oldest of them. Older members do not say it. */
  readonly damaged?: readonly { readonly first: number; readonly last: number; readonly why: string }[];
  readonly subscriptions: readonly SubscriptionRow[];
  /** How many more subscriptions there are. */
  readonly leftOut: number;
}

export type ViewAnswer = Summary | ChannelPage | ChannelDetail | { readonly error: string };

/** Sums over all channels are counted again after this time. */
const SURVEY_MS = 1_000;
const MAX_SUBSCRIPTIONS = 500;
const MAX_DAMAGED = 20;
const MAX_NAME = 10_000;

/** Answers the requests of dashboards for one broker. It only reads. */
export class View {
  readonly #serverId: string;
  readonly #node: string;
  readonly #measures: Measures;
  readonly #table = new ChannelTable();
  #survey:
    | { readonly of: WeakRef<Broker>; readonly atMs: number; readonly result: Promise<Survey> }
    | undefined;

  constructor(serverId: string, node: string, measures: Measures) {
    this.#serverId = serverId;
    this.#node = node;
    this.#measures = measures;
  }

  async answer(broker: Broker, request: ViewRequest): Promise<ViewAnswer> {
    switch (request.kind) {
      case 'summary':
        return this.#summary(broker);
      case 'channels':
        return this.#table.page(broker, request);
      case 'channel':
        return await channelDetail(broker, request.name);
    }
  }

  /** Each member of the group asks for one every few seconds. */
  #surveyOf(broker: Broker): Promise<Survey> {
    const last = this.#survey;
    const nowMs = performance.now();
    if (last !== undefined && last.of.deref() === broker && nowMs - last.atMs < SURVEY_MS) return last.result;
    const result = Survey.of(broker);
    this.#survey = { of: new WeakRef(broker), atMs: nowMs, result };
    return result;
  }

  async #summary(broker: Broker): Promise<Summary> {
    const survey = await this.#surveyOf(broker);
    const { counters, store } = broker;
    return {
      serverId: this.#serverId,
      node: this.#node,
      messagesIn: counters.messagesIn,
      bytesIn: counters.bytesIn,
      messagesOut: counters.messagesOut,
      bytesOut: counters.bytesOut,
      acks: counters.acks,
      redeliveries: counters.redeliveries,
      refused: counters.refusedPublishes,
      messages: survey.messages,
      bytes: survey.bytes,
      channels: broker.channels.size,
      clients: broker.clients.size,
      online: survey.onlineSubscriptions,
      offline: survey.offlineSubscriptions,
      stalled: survey.stalledSubscriptions,
      inFlight: survey.inFlight,
      maxLag: survey.maxLag,
      full: store.fullReason ?? null,
      publishAck: bucketsOf(this.#measures.publishAck),
      delivery: bucketsOf(this.#measures.delivery),
    };
  }
}

/** Encodes an answer as JSON, with as many rows as fit into `maxBytes`, the largest payload of NATS. */
export function encodeView(answer: ViewAnswer, maxBytes: number): string {
  let fitting = answer;
  for (;;) {
    const encoded = JSON.stringify(fitting);
    const byteCount = Buffer.byteLength(encoded);
    if (byteCount <= maxBytes) return encoded;
    const part = Math.min(0.9, (0.9 * maxBytes) / byteCount);
    if (
      'subscriptions' in fitting &&
      Array.isArray(fitting.subscriptions) &&
      fitting.subscriptions.length > 0
    ) {
      const subscriptions = fitting.subscriptions.slice(0, Math.floor(fitting.subscriptions.length * part));
      const leftOut = fitting.leftOut + fitting.subscriptions.length - subscriptions.length;
      fitting = { ...fitting, subscriptions, leftOut };
    } else if ('rows' in fitting && fitting.rows.length > 0) {
      fitting = { ...fitting, rows: fitting.rows.slice(0, Math.floor(fitting.rows.length * part)) };
    } else {
      return JSON.stringify({ error: 'the answer is too large for the NATS server (max_payload)' });
    }
  }
}

/** @param value parsed from JSON that anyone may have sent. @returns undefined if it is not a request */
export function viewRequestOf(value: unknown): ViewRequest | undefined {
  if (!isObject(value)) return undefined;
  switch (value.kind) {
    case 'summary':
      return { kind: 'summary' };
    case 'channel':
      return { kind: 'channel', name: textOf(value.name).slice(0, MAX_NAME) };
    case 'channels':
      return { kind: 'channels', ...ChannelTable.queryOf((name) => fieldOf(value, name)) };
    default:
      return undefined;
  }
}

function fieldOf(request: Fields, name: string): string | null {
  return request[name] === undefined ? null : textOf(request[name]);
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

function bucketsOf({ bounds, counts, count }: Histogram): Buckets {
  return { bounds, counts: [...counts], count };
}

async function channelDetail(broker: Broker, name: string): Promise<ChannelDetail | { error: string }> {
  const channel = broker.channels.get(name);
  if (channel === undefined) return { error: `there is no channel ${name}` };
  const { log } = channel;
  const { unreadable } = broker.store;
  const turns = await Turns.begin();
  const rows: SubscriptionRow[] = [];
  for (const sub of subscriptionsOf(channel)) {
    if (rows.length === MAX_SUBSCRIPTIONS) break;
    rows.push(subscriptionRow(channel, sub));
    if (turns.isOver) await turns.giveWay();
  }
  return {
    name,
    first: log.messageCount === 0 ? 0 : log.firstSequence,
    last: log.lastSequence,
    messages: log.messageCount,
    bytes: log.byteCount,
    lastActivityMs: log.lastActivityMs,
    damaged: unreadable
      .of(log)
      .slice(0, MAX_DAMAGED)
      .map(({ first, last, why }) => ({ first, last, why })),
    subscriptions: rows,
    leftOut: Math.max(0, channel.subscriptionCount - rows.length),
  };
}

function subscriptionRow({ log, visible }: Channel, sub: Subscriptionz): SubscriptionRow {
  const isQueue = sub.queue_name !== undefined;
  const durable = sub.is_durable ? 'durable' : 'regular';
  const undelivered = Math.max(0, visible - Math.max(sub.last_sent, log.firstSequence - 1));
  return {
    client: sub.client_id,
    kind: isQueue ? (sub.is_durable ? 'durable queue' : 'queue') : durable,
    name: sub.queue_name ?? sub.durable_name ?? '',
    lastSent: sub.last_sent,
    lag: undelivered + sub.pending_count,
    inFlight: sub.pending_count,
    maxInFlight: sub.max_inflight,
    isStalled: sub.is_stalled,
    isOffline: sub.is_offline,
  };
}
