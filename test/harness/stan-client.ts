import stan, { type Message, type Stan, type StanOptions, type Subscription } from 'node-nats-streaming';
import { waitFor, within } from './wait.js';

/** A message as a subscription of node-nats-streaming got it. */
export interface Received {
  sequence: number;
  channel: string;
  data: string;
  redelivered: boolean;
  redeliveryCount: number;
  /** When it was stored, milliseconds since 1970. */
  timestampMs: number;
  /** Once is enough; with automatic acks it has been done. */
  ack(): void;
}

export interface SubscribeOptions {
  queueGroup?: string;
  durableName?: string;
  maxInFlight?: number;
  /** At least 1000, in whole seconds: the protocol has no less. */
  ackWaitMs?: number;
  manualAcks?: boolean;
  /** Without any of the four: new messages only. */
  all?: boolean;
  lastReceived?: boolean;
  sequence?: number;
  timeDeltaMs?: number;
  /** Called with each message before it is acked. */
  onMessage?: (message: Received) => void;
}

const REQUEST_TIMEOUT_MS = 30_000;
const PATIENT_PINGS = 1_000;

/** A client of the field, with promises: node-nats-streaming as it comes from npm. */
export class StanClient {
  readonly #stan: Stan;
  readonly clientId: string;
  /** What the client was told when it lost its connection, by a ping's answer or by none. */
  lost: string | undefined;
  #isClosed = false;

  private constructor(client: Stan, clientId: string) {
    this.#stan = client;
    this.clientId = clientId;
  }

  /** @throws the broker's error text */
  static async connect(
    natsUrl: string,
    clusterId: string,
    clientId: string,
    options: StanOptions = {},
  ): Promise<StanClient> {
    const raw = stan.connect(clusterId, clientId, {
      url: natsUrl,
      connectTimeout: REQUEST_TIMEOUT_MS,
      reconnectTimeWait: 50,
      // It gives up after 15 s without a broker otherwise: a restart on a busy machine may take that.
      stanMaxPingOut: PATIENT_PINGS,
      ...options,
    });
    const client = new StanClient(raw, clientId);
    raw.on('connection_lost', (error: unknown) => {
      client.lost = String(error instanceof Error ? error.message : error);
    });
    await new Promise<void>((resolve, reject) => {
      raw.once('connect', () => resolve());
      raw.on('error', (error: unknown) => reject(toError(error)));
    });
    return client;
  }

  /**
   * Publishes and waits for the ack.
   *
   * @throws the broker's error text
   */
  publish(channel: string, data: string | Buffer): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#stan.publish(channel, data, (error, guid) => {
        if (error === undefined) resolve(guid);
        else reject(toError(error));
      });
    });
  }

  /** Publishes without waiting for each ack: `<prefix>1`, `<prefix>2`, ... and waits for all. */
  async publishMany(channel: string, count: number, prefix = ''): Promise<void> {
    const acks: Promise<string>[] = [];
    for (let i = 1; i <= count; i++) acks.push(this.publish(channel, `${prefix}${i}`));
    await Promise.all(acks);
  }

  /** @throws the broker's error text */
  async subscribe(channel: string, options: SubscribeOptions = {}): Promise<StanSubscription> {
    const subscriptionOptions = this.#stan.subscriptionOptions();
    if (options.durableName !== undefined) subscriptionOptions.setDurableName(options.durableName);
    if (options.maxInFlight !== undefined) subscriptionOptions.setMaxInFlight(options.maxInFlight);
    if (options.ackWaitMs !== undefined) subscriptionOptions.setAckWait(options.ackWaitMs);
    if (options.manualAcks !== undefined) subscriptionOptions.setManualAckMode(options.manualAcks);
    if (options.all) subscriptionOptions.setDeliverAllAvailable();
    if (options.lastReceived) subscriptionOptions.setStartWithLastReceived();
    if (options.sequence !== undefined) subscriptionOptions.setStartAtSequence(options.sequence);
    if (options.timeDeltaMs !== undefined) subscriptionOptions.setStartAtTimeDelta(options.timeDeltaMs);
    const raw =
      options.queueGroup === undefined
        ? this.#stan.subscribe(channel, subscriptionOptions)
        : this.#stan.subscribe(channel, options.queueGroup, subscriptionOptions);
    const subscription = new StanSubscription(raw, options.onMessage);
    await new Promise<void>((resolve, reject) => {
      raw.once('ready', () => resolve());
      raw.once('error', (error: unknown) => reject(toError(error)));
      raw.once('timeout', (error: unknown) => reject(toError(error)));
    });
    return subscription;
  }

  /** Says goodbye to the broker and waits for its answer. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const closed = new Promise<void>((resolve, reject) => {
      this.#stan.once('close', (error: unknown) => (error ? reject(toError(error)) : resolve()));
    });
    this.#stan.close();
    await within(closed, `client ${this.clientId} closes`, REQUEST_TIMEOUT_MS + 1000);
  }

  /** Dies: the connection is cut, the broker is told nothing. */
  drop(): void {
    this.#isClosed = true;
    // What the client does when its pings fail: it ends its timers and its NATS connection. Its types do not show it.
    const { closeWithError } = this.#stan as unknown as { closeWithError(event: string, error: Error): void };
    closeWithError.call(this.#stan, 'dropped', new Error('the connection was cut'));
  }
}

/** A subscription of node-nats-streaming that keeps all that it gets. */
export class StanSubscription {
  readonly messages: Received[] = [];
  readonly #raw: Subscription;

  constructor(raw: Subscription, onMessage: ((message: Received) => void) | undefined) {
    this.#raw = raw;
    raw.on('message', (message: Message & { getRedeliveryCount(): number }) => {
      const received: Received = {
        sequence: message.getSequence(),
        channel: message.getSubject(),
        data: message.getRawData().toString(),
        redelivered: message.isRedelivered(),
        redeliveryCount: message.getRedeliveryCount(),
        timestampMs: message.getTimestamp().getTime(),
        ack: () => message.ack(),
      };
      this.messages.push(received);
      onMessage?.(received);
    });
  }

  get sequences(): number[] {
    return this.messages.map(({ sequence }) => sequence);
  }

  /** The sequences of first deliveries. */
  get freshSequences(): number[] {
    return this.messages.filter(({ redelivered }) => !redelivered).map(({ sequence }) => sequence);
  }

  /** Waits until so many messages have come in all. */
  async got(count: number): Promise<void> {
    await waitFor(
      () => this.messages.length >= count,
      () => `${count} messages; got ${this.messages.length}: ${this.#shown()}`,
    );
  }

  /** Waits until a message is there that fits, and returns it. */
  async gotOne(fits: (message: Received) => boolean, what: string): Promise<Received> {
    await waitFor(
      () => this.messages.some(fits),
      () => `${what}; got ${this.#shown()}`,
    );
    return this.messages.find(fits)!;
  }

  ackAll(): void {
    for (const message of this.messages) message.ack();
  }

  /** Ends it for good; a durable is forgotten. */
  unsubscribe(): Promise<void> {
    return this.#end(() => this.#raw.unsubscribe(), 'unsubscribed');
  }

  /** Ends it for now; a durable is kept. */
  close(): Promise<void> {
    return this.#end(() => this.#raw.close(), 'closed');
  }

  #end(request: () => void, event: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#raw.once(event, () => resolve());
      this.#raw.once('error', (error: unknown) => reject(toError(error)));
      this.#raw.once('timeout', (error: unknown) => reject(toError(error)));
      request();
    });
  }

  #shown(): string {
    const last = this.messages
      .slice(-20)
      .map((m) => `${m.sequence}${m.redelivered ? `(again ${m.redeliveryCount})` : ''}`);
    return `${this.messages.length > 20 ? '... ' : ''}${last.join(' ')}`;
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
