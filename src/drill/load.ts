// The load of a drill: its clients, what they publish and receive, and the check of it all at the end.

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeConnectionOptions } from '@nats-io/transport-node';
import { StartPosition, type SubscriptionRequest } from '../protocol/messages.js';
import { must } from '../util/assert.js';
import { AckRate } from './ack-rate.js';
import { ChannelCheck } from './channel-check.js';
import { DRILL_CHANNELS, markBeginning } from './drill-channels.js';
import { Publisher } from './drill-publisher.js';
import { Ledger } from './ledger.js';
import { Outage } from './outage.js';
import { RUN_LENGTH } from './payload.js';
import { readBack } from './read-back.js';
import { StanClient } from './stan-client.js';
import { SubscriptionCheck } from './subscription-check.js';
import { GroupError } from './watched-group.js';

export interface LoadOptions {
  nats: NodeConnectionOptions;
  clusterId: string;
  discoverPrefix: string;
  /** Messages per second of all publishers except the probe. */
  rate: number;
}

/** A subscription of the drill. Each member is a client of its own. */
interface Subscribed {
  name: string;
  members: number;
  request: Partial<SubscriptionRequest>;
}

const TICK_MS = 5;
const PUBLISHERS = 4;
/** Least limit of messages without an ack per publisher. It is never less than its messages of `WINDOW_SECONDS`, an outage included. */
const MIN_WINDOW = 4_096;
const WINDOW_SECONDS = 4;
const RETRY_MS = 500;
const ACK_TIMEOUT_MS = 30_000;
/** Retry time of the probe, which measures outages. */
const PROBE_RETRY_MS = 100;
const PRELOAD_WINDOW = 8_192;
const PRELOAD_RETRY_MS = 5_000;
const PRELOAD_PAUSE_MS = 1;
const PRELOAD_REPORT_MS = 1_000;
/** The drill gives up after this time without any ack. */
const STUCK_MS = 30_000;
const SUBSCRIPTION: Partial<SubscriptionRequest> = {
  startPosition: StartPosition.SEQUENCE_START,
  maxInFlight: 2_048,
  ackWaitSeconds: 5,
};

/** The subscriptions of a drill. Its queue group has a name of its own, since members of a killed drill may still be in the old one. */
function subscribed(run: string): readonly Subscribed[] {
  return [
    { name: 'durable', members: 1, request: { durableName: 'drill' } },
    { name: 'queue group', members: 2, request: { queueGroup: `drill-${run}` } },
    { name: 'regular', members: 1, request: {} },
  ];
}

/** All clients of a drill: the one that fills the store, the publishers, the subscribers, and the probe that measures outages. */
export class Load {
  /** Id of the drill, in all payloads and guids. */
  readonly run = randomBytes(RUN_LENGTH / 2).toString('hex');
  readonly channels: ChannelCheck[] = [];
  readonly subscriptions: SubscriptionCheck[] = [];
  /** The outage as the probe sees it. */
  readonly outage = new Outage(performance.now());
  /** The rate of the acks to the four publishers. */
  readonly ackRate = new AckRate(performance.now());
  /** Longest pause of this process in this phase, in milliseconds: the measured outage may be too long by it. */
  ownPauseMs = 0;
  /** Longest time without an ack before the first fault, in milliseconds. */
  calmMs = 0;

  readonly #options: LoadOptions;
  readonly #clients: StanClient[] = [];
  readonly #publishers: Publisher[] = [];
  #stored!: Publisher;
  #probe!: Publisher;
  #load: Publisher[] = [];
  #reader!: StanClient;
  #ticker: NodeJS.Timeout | undefined;
  #isSending = false;
  #lastTickMs = 0;
  /** How many messages the load may send by its rate, and has not sent yet. */
  #credit = 0;

  private constructor(options: LoadOptions) {
    this.#options = options;
  }

  /** @throws Error if NATS or the broker cannot be reached, or refuses */
  static async connect(options: LoadOptions): Promise<Load> {
    const load = new Load(options);
    try {
      await load.#connect();
    } catch (error) {
      await load.close();
      throw error;
    }
    return load;
  }

  get ledgers(): Ledger[] {
    return this.#publishers.map(({ ledger }) => ledger);
  }

  /** How many messages were given up without an ack. */
  get unackedCount(): number {
    return this.#publishers.reduce((sum, { unacked }) => sum + unacked, 0);
  }

  get ackedCount(): number {
    return this.ledgers.reduce((sum, { ackedCount }) => sum + ackedCount, 0);
  }

  /** Stores messages as fast as possible. @throws GroupError if they are not acknowledged */
  async preload(count: number, onProgress: (acked: number) => void, signal: AbortSignal): Promise<void> {
    const publisher = this.#stored;
    const { ledger } = publisher;
    // The clock starts at 0 with the process, so negative infinity stands for "long ago".
    let before = { acked: -1, atMs: 0, reportedMs: Number.NEGATIVE_INFINITY };
    while (ledger.sent < count || !publisher.isIdle) {
      // Messages under way still get their acks, which the check needs.
      if (signal.aborted && publisher.isIdle) return;
      const nowMs = performance.now();
      if (!signal.aborted) publisher.send(count - ledger.sent, nowMs);
      publisher.tick(nowMs);
      if (ledger.ackedCount !== before.acked) before = { ...before, acked: ledger.ackedCount, atMs: nowMs };
      else if (nowMs - before.atMs > STUCK_MS) throw notTaken(ledger);
      if (nowMs - before.reportedMs >= PRELOAD_REPORT_MS) {
        before.reportedMs = nowMs;
        onProgress(ledger.ackedCount);
      }
      await sleep(PRELOAD_PAUSE_MS);
    }
  }

  /** Publishes from now on, until `finish`. */
  start(): void {
    this.#isSending = true;
    this.#lastTickMs = performance.now();
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    this.outage.ack(this.#lastTickMs);
    this.outage.begin();
  }

  /** Begins a new phase, whose messages are counted separately. */
  beginPhase(): void {
    for (const { ledger } of this.#publishers) ledger.beginPhase();
    for (const subscription of this.subscriptions) subscription.beginPhase();
    this.calmMs ||= this.outage.longestMs(performance.now());
    this.ownPauseMs = 0;
    this.outage.begin();
  }

  /**
   * Stops publishing, waits for the last acks, reads all stored messages, and waits until the subscriptions have received them.
   *
   * @throws GroupError if acks or messages stop coming
   */
  async finish(): Promise<void> {
    this.#isSending = false;
    this.#ticker ??= setInterval(() => this.#tick(), TICK_MS);
    await this.#idle();
    for (const channel of this.channels) {
      const publisher = must(
        this.#publishers.find(({ ledger }) => channel.ledgers.includes(ledger)),
        'each channel of the load has a publisher',
      );
      if (channel.ledgers.every(({ sent }) => sent === 0)) continue;
      // This message is behind all others, so that the reader knows when it has read them all.
      publisher.send(1, performance.now());
      await this.#idle();
      const last = publisher.ledger.sent - 1;
      if (!publisher.ledger.isAcked(last)) throw notTaken(publisher.ledger);
      await readBack(this.#reader, channel, () => publisher.ledger.isStored(last));
    }
    await this.#subscriptionsHaveAll();
  }

  async close(): Promise<void> {
    clearInterval(this.#ticker);
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  async #connect(): Promise<void> {
    // If another drill is at work, the broker refuses this client id.
    this.#reader = await this.#client('reader');
    const probe = new Ledger('probe', 1);
    const stored = new Ledger('stored before', 2);
    const ledgers = Array.from({ length: PUBLISHERS }, (_, i) => new Ledger(`publisher ${i + 1}`, 3 + i));
    const loaded = await this.#channel(DRILL_CHANNELS.load, ledgers);
    const probed = await this.#channel(DRILL_CHANNELS.probe, [probe]);
    const before = await this.#channel(DRILL_CHANNELS.stored, [stored]);

    for (const { name, members, request } of subscribed(this.run)) {
      const check = new SubscriptionCheck(name, loaded, members);
      this.subscriptions.push(check);
      for (let member = 0; member < members; member++) {
        const client = await this.#client(`${name.replace(' ', '-')}-${member + 1}`);
        const own = { ...SUBSCRIPTION, ...request, subject: loaded.channel, startSequence: loaded.base + 1 };
        if (request.durableName !== undefined) await forget(client, own);
        await client.subscribe(own, (sequence, isRedelivered, buffer, start, end) =>
          check.received(member, sequence - loaded.base, isRedelivered, buffer, start, end),
        );
      }
    }
    this.#probe = await this.#publisher(probe, probed, {
      window: 1,
      retryMs: PROBE_RETRY_MS,
      ackTimeoutMs: Number.POSITIVE_INFINITY,
      onAck: (nowMs) => this.outage.ack(nowMs),
    });
    this.#stored = await this.#publisher(stored, before, {
      window: PRELOAD_WINDOW,
      retryMs: PRELOAD_RETRY_MS,
      ackTimeoutMs: STUCK_MS,
    });
    for (const ledger of ledgers) {
      const options = {
        window: Math.max(MIN_WINDOW, Math.ceil((this.#options.rate / PUBLISHERS) * WINDOW_SECONDS)),
        retryMs: RETRY_MS,
        ackTimeoutMs: ACK_TIMEOUT_MS,
        onAck: (nowMs: number) => this.ackRate.ack(nowMs),
      };
      this.#load.push(await this.#publisher(ledger, loaded, options));
    }
  }

  async #channel(name: string, ledgers: readonly Ledger[]): Promise<ChannelCheck> {
    const base = await markBeginning(this.#reader, name, this.run);
    const check = new ChannelCheck(name, this.run, ledgers, base);
    this.channels.push(check);
    return check;
  }

  async #client(name: string): Promise<StanClient> {
    const { nats, clusterId, discoverPrefix } = this.#options;
    const clientId = `stanchion-drill-${name}`;
    const client = await StanClient.connect({ nats, clusterId, discoverPrefix, clientId });
    this.#clients.push(client);
    return client;
  }

  async #publisher(
    ledger: Ledger,
    { channel }: ChannelCheck,
    options: { window: number; retryMs: number; ackTimeoutMs: number; onAck?(nowMs: number): void },
  ): Promise<Publisher> {
    const client = await this.#client(ledger.name.replace(' ', '-'));
    const publisher = new Publisher({ client, channel, run: this.run, ledger, ...options });
    this.#publishers.push(publisher);
    return publisher;
  }

  #tick(): void {
    const nowMs = performance.now();
    const sinceMs = nowMs - this.#lastTickMs;
    this.#lastTickMs = nowMs;
    if (this.#isSending) {
      this.ownPauseMs = Math.max(this.ownPauseMs, sinceMs - TICK_MS);
      if (this.#probe.isIdle) this.#probe.send(1, nowMs);
      this.#credit += (this.#options.rate * sinceMs) / 1000;
      for (const [i, publisher] of this.#load.entries()) {
        const share = Math.floor(this.#credit / (this.#load.length - i));
        publisher.send(share, nowMs);
        // Messages without room are not made up for later: that would exceed the rate.
        this.#credit -= share;
      }
    }
    for (const publisher of this.#publishers) publisher.tick(nowMs);
  }

  async #idle(): Promise<void> {
    const untilMs = performance.now() + ACK_TIMEOUT_MS + STUCK_MS;
    for (;;) {
      const busy = this.#publishers.find(({ isIdle }) => !isIdle);
      if (busy === undefined) return;
      if (performance.now() > untilMs) throw notTaken(busy.ledger);
      await sleep(TICK_MS);
    }
  }

  /** Waits until the subscriptions have received all, or nothing for long. The report has what is missing. */
  async #subscriptionsHaveAll(): Promise<void> {
    const loaded = must(this.channels[0], 'the load has a channel');
    const received = (): number => this.subscriptions.reduce((sum, check) => sum + check.receivedCount, 0);
    let before = { received: received(), atMs: performance.now() };
    while (this.subscriptions.some(({ receivedCount }) => receivedCount < loaded.storedCount)) {
      const nowMs = performance.now();
      if (received() !== before.received) before = { received: received(), atMs: nowMs };
      else if (nowMs - before.atMs > STUCK_MS) return;
      await sleep(TICK_MS);
    }
  }
}

/** Removes the durable that a killed drill has left behind. */
async function forget(client: StanClient, durable: Partial<SubscriptionRequest>): Promise<void> {
  const unsubscribe = await client.subscribe(durable, () => {});
  await unsubscribe();
}

function notTaken({ name, lastRefusal }: Ledger): GroupError {
  const why = lastRefusal === '' ? '' : `. The last answer was: ${lastRefusal}`;
  return new GroupError(`the messages of the drill (${name}) are not acknowledged${why}`);
}
