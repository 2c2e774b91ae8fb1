import { randomBytes } from 'node:crypto';
import { Broker } from '../../src/broker/broker.js';
import type { BrokerOptions } from '../../src/broker/handlers/broker-options.js';
import type { BrokerLink } from '../../src/broker/state/broker-link.js';
import type { ChannelLimits } from '../../src/config/channel-limits.js';
import { OutBuffer } from '../../src/link/writer.js';
import { silentLogger } from '../../src/log/logger.js';
import {
  decodeCloseResponse,
  decodeConnectResponse,
  decodeMsgProto,
  decodePubAck,
  decodeSubscriptionResponse,
  encodeAck,
  encodeCloseRequest,
  encodeConnectRequest,
  encodePubMsg,
  encodeSubscriptionRequest,
  encodeUnsubscribeRequest,
  type MsgProto,
  type SubscriptionRequest,
} from '../../src/protocol/messages.js';
import { MemoryStore } from '../../src/store/memory/memory-store.js';
import type { Store } from '../../src/store/types/store.js';
import type { RandomBytes } from '../../src/store/types/store-id.js';
import { ManualClock } from '../clock/manual-clock.js';

export const NO_LIMITS: ChannelLimits = {
  maxMessages: 0,
  maxBytes: 0,
  maxAgeMs: 0,
  maxSubscriptions: 0,
  maxInactivityMs: 0,
};

/** What the broker sent. */
export interface Sent {
  subject: string;
  payload: Buffer;
}

/** A link that keeps what is sent on it. */
export class RecordingLink implements BrokerLink {
  maxPayload = 1024 * 1024;
  isCongested = false;
  readonly sent: Sent[] = [];
  /** The subscriptions that have ended. */
  readonly ended: number[] = [];
  readonly #sids = new Map<string, number>();
  readonly #subjects = new Map<number, string>();
  #lastSid = 0;

  subscribe(subject: string): number {
    const sid = ++this.#lastSid;
    this.#sids.set(subject, sid);
    this.#subjects.set(sid, subject);
    return sid;
  }

  unsubscribe(sid: number): void {
    this.ended.push(sid);
    const subject = this.#subjects.get(sid);
    if (subject !== undefined) this.#sids.delete(subject);
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  takeBuffer(): OutBuffer {
    return new OutBuffer();
  }

  send(out: OutBuffer): void {
    const bytes = out.buf.subarray(0, out.length);
    for (let at = 0; at < bytes.length; ) {
      const lineEnd = bytes.indexOf('\r\n', at);
      const [, subject, size] = bytes.toString('utf8', at, lineEnd).split(' ');
      const start = lineEnd + 2;
      const end = start + Number(size);
      this.sent.push({ subject: subject!, payload: Buffer.from(bytes.subarray(start, end)) });
      at = end + 2;
    }
  }

  /** All that is subscribed to. */
  get subjects(): string[] {
    return [...this.#sids.keys()];
  }

  /** The subscription that a subject matches. */
  sidOf(subject: string): number {
    for (const [pattern, sid] of this.#sids) {
      if (pattern === subject || (/[*>]$/.test(pattern) && subject.startsWith(pattern.slice(0, -1))))
        return sid;
    }
    throw new Error(`nobody listens on ${subject}`);
  }
}

/**
 * A broker on the memory store, with time that stands still until told otherwise, and clients that are plain calls: for what
 * the real thing takes seconds to show.
 */
export class InMemoryBroker {
  readonly clock: ManualClock;
  readonly link = new RecordingLink();
  readonly broker: Broker;
  /** Heartbeat inboxes that answer. */
  readonly alive = new Set<string>();
  #guid = 0;
  #reply = 0;

  /**
   * @param store to be served instead of an empty one in memory
   * @param random for the names of ack inboxes
   * @param around a clock, and how clients answer heartbeats, if they are not to be its own
   */
  constructor(
    options: Partial<BrokerOptions> & { limits?: Partial<ChannelLimits> } = {},
    store?: Store,
    random: RandomBytes = randomBytes,
    around: { clock?: ManualClock; ping?: (inbox: string) => Promise<boolean> } = {},
  ) {
    this.clock = around.clock ?? new ManualClock();
    const limits = { ...NO_LIMITS, ...options.limits };
    this.broker = new Broker({
      options: {
        clusterId: 'c',
        discoverPrefix: '_STAN.discover',
        heartbeatIntervalMs: 1000,
        heartbeatTimeoutMs: 100,
        heartbeatFailCount: 2,
        maxChannels: 0,
        limitsFor: () => limits,
        maxPendingBytes: 1 << 30,
        replaceDurable: false,
        ...options,
      },
      store: store ?? new MemoryStore({ clock: this.clock, random: (size) => Buffer.alloc(size, 7) }),
      clock: this.clock,
      log: silentLogger,
      pinger: { ping: around.ping ?? ((inbox) => Promise.resolve(this.alive.has(inbox))) },
      hashSeed: 1,
      random,
      defer: (callback) => void setImmediate(callback),
      onFailed: (error) => {
        throw error;
      },
    });
  }

  static async start(...parts: ConstructorParameters<typeof InMemoryBroker>): Promise<InMemoryBroker> {
    const self = new InMemoryBroker(...parts);
    await self.broker.linkUp(self.link);
    return self;
  }

  /** Hands a message to the broker as the link does, and lets it finish what it began. */
  async message(subject: string, payload: Uint8Array, reply = ''): Promise<void> {
    const buffer = Buffer.concat([Buffer.from(subject), Buffer.from(reply), payload]);
    const replyStart = Buffer.byteLength(subject);
    const payloadStart = replyStart + Buffer.byteLength(reply);
    const sid = this.link.sidOf(subject);
    this.broker.onMessage(sid, buffer, 0, replyStart, replyStart, payloadStart, payloadStart, buffer.length);
    this.broker.onBatchEnd();
    await settle();
  }

  async request(subject: string, payload: Uint8Array): Promise<Buffer> {
    const reply = `_INBOX.reply.${++this.#reply}`;
    await this.message(subject, payload, reply);
    const answer = this.link.sent.find((sent) => sent.subject === reply);
    if (answer === undefined) throw new Error(`no answer to a request on ${subject}`);
    return answer.payload;
  }

  async connect(clientId: string): Promise<string> {
    this.alive.add(`_INBOX.hb.${clientId}`);
    const request = encodeConnectRequest({
      clientId,
      heartbeatInbox: `_INBOX.hb.${clientId}`,
      connId: Buffer.from(`conn-${clientId}`),
      protocol: 1,
    });
    return decodeConnectResponse(await this.request('_STAN.discover.c', request)).error;
  }

  async close(clientId: string): Promise<string> {
    return decodeCloseResponse(await this.request('_STAN.close.c', encodeCloseRequest({ clientId }))).error;
  }

  async publish(clientId: string, subject: string, count = 1): Promise<void> {
    for (let i = 0; i < count; i++) {
      const guid = `guid-${++this.#guid}`;
      const ack = await this.request(
        `_STAN.pub.c.${subject}`,
        encodePubMsg({ clientId, guid, subject, data: Buffer.from(`${guid}`) }),
      );
      const { error } = decodePubAck(ack);
      if (error !== '') throw new Error(error);
    }
  }

  /** @returns the subscription's ack inbox */
  async subscribe(options: Partial<SubscriptionRequest> & { clientId: string }): Promise<string> {
    const answer = await this.request(
      '_STAN.sub.c',
      encodeSubscriptionRequest({
        subject: 'foo',
        inbox: `_INBOX.in.${options.clientId}`,
        maxInFlight: 10,
        ackWaitSeconds: 30,
        startPosition: 4,
        ...options,
      }),
    );
    const { ackInbox, error } = decodeSubscriptionResponse(answer);
    if (error !== '') throw new Error(error);
    return ackInbox;
  }

  async end(how: 'subclose' | 'unsub', clientId: string, ackInbox: string, subject = 'foo'): Promise<string> {
    const request = encodeUnsubscribeRequest({ clientId, subject, inbox: ackInbox });
    return decodeSubscriptionResponse(await this.request(`_STAN.${how}.c`, request)).error;
  }

  async ack(ackInbox: string, ...sequences: number[]): Promise<void> {
    for (const sequence of sequences) await this.message(ackInbox, encodeAck({ subject: 'foo', sequence }));
  }

  /** Lets time pass, with everything that it brings. */
  async pass(ms: number): Promise<void> {
    // In steps: heartbeats wait for answers in between.
    for (let left = ms; left > 0; left -= 100) {
      this.clock.advance(Math.min(100, left));
      await settle();
    }
  }

  /** What was delivered to the client since the last call. */
  taken(clientId: string): MsgProto[] {
    const inbox = `_INBOX.in.${clientId}`;
    const mine = this.link.sent.filter((sent) => sent.subject === inbox);
    const rest = this.link.sent.filter((sent) => sent.subject !== inbox);
    this.link.sent.length = 0;
    this.link.sent.push(...rest);
    return mine.map((sent) => decodeMsgProto(sent.payload));
  }

  sequencesTaken(clientId: string): number[] {
    return this.taken(clientId).map((message) => message.sequence);
  }
}

function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}
