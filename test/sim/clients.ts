import {
  decodeConnectResponse,
  decodeMsgProto,
  decodePingResponse,
  decodePubAck,
  decodeSubscriptionResponse,
  encodeAck,
  encodeConnectRequest,
  encodePing,
  encodePubMsg,
  encodeSubscriptionRequest,
  type MsgProto,
  StartPosition,
} from '../../src/protocol/messages.js';
import { stanSubjects } from '../../src/protocol/stan-subjects.js';
import { DeliveryOrder } from './delivery-order.js';
import type { Ledger } from './ledger.js';
import { CLUSTER_ID } from './machine.js';
import { SERVERS, SimConnection, type SimMessage, type SimNats } from './nats.js';
import { SimProcess } from './process.js';
import type { World } from './world.js';

const SUBJECTS = stanSubjects(CLUSTER_ID);
const ALL_SERVERS = Array.from({ length: SERVERS }, (_, i) => i);
const RETRY_MS = 400;
const PING_MS = 2_000;
const RECONNECT_MS = 50;

/** A client of the public protocol, of level 1: it connects once, and never does anything about a takeover. */
export class SimClient {
  readonly id: string;
  readonly world: World;
  readonly ledger: Ledger;
  isConnected = false;
  onConnected: () => void = () => {};
  readonly #nats: SimNats;
  readonly #servers: readonly number[];
  readonly #process: SimProcess;
  readonly #handlers = new Map<string, (message: SimMessage) => void>();
  readonly #sids = new Map<string, number>();
  #connection: SimConnection | undefined;
  #replies = 0;

  /** @param servers those that it connects to */
  constructor(nats: SimNats, ledger: Ledger, id: string, servers: readonly number[] = ALL_SERVERS) {
    this.id = id;
    this.world = nats.world;
    this.ledger = ledger;
    this.#nats = nats;
    this.#servers = servers;
    this.#process = new SimProcess(nats.world, id, { rate: 1, wallSkewMs: 0 });
    this.#attach();
    this.listen(`_INBOX.${id}.hb`, ({ reply }) => this.send(reply, Buffer.alloc(0)));
    this.#connect();
  }

  listen(subject: string, handle: (message: SimMessage) => void): void {
    this.#handlers.set(subject, handle);
    this.#subscribe(subject);
  }

  #unlisten(subject: string): void {
    this.#handlers.delete(subject);
    const sid = this.#sids.get(subject);
    if (sid !== undefined) this.#connection?.unsubscribe(sid);
    this.#sids.delete(subject);
  }

  send(subject: string, payload: Uint8Array, reply = ''): void {
    this.#connection?.publish(subject, Buffer.from(payload), reply);
  }

  /** Asks until somebody answers. */
  request(subject: string, payload: Uint8Array, onAnswer: (payload: Buffer) => void): void {
    const reply = `_INBOX.${this.id}.r${++this.#replies}`;
    let isAnswered = false;
    this.listen(reply, ({ payload: answer }) => {
      if (isAnswered) return;
      isAnswered = true;
      this.#unlisten(reply);
      onAnswer(answer);
    });
    const ask = (): void => {
      if (isAnswered) return;
      this.send(subject, payload, reply);
      this.world.after(RETRY_MS, ask);
    };
    ask();
  }

  get #connId(): Buffer {
    return Buffer.from(`conn-${this.id}`);
  }

  #connect(): void {
    const request = encodeConnectRequest({
      clientId: this.id,
      heartbeatInbox: `_INBOX.${this.id}.hb`,
      connId: this.#connId,
      protocol: 1,
    });
    this.request(SUBJECTS.discover, request, (answer) => {
      const { error } = decodeConnectResponse(answer);
      if (error !== '') this.ledger.violation(`client ${this.id} cannot connect: ${error}`);
      this.isConnected = true;
      this.onConnected();
      this.world.after(PING_MS, () => this.#ping());
    });
  }

  #ping(): void {
    const reply = `_INBOX.${this.id}.ping`;
    if (!this.#handlers.has(reply)) {
      this.listen(reply, ({ payload }) => {
        const { error } = decodePingResponse(payload);
        // Invariant 5.
        if (error !== '') this.ledger.violation(`client ${this.id} is not known any more: ${error}`);
      });
    }
    this.send(SUBJECTS.pings, encodePing({ connId: this.#connId }), reply);
    this.world.after(PING_MS, () => this.#ping());
  }

  #attach(): void {
    const up = this.#servers.filter((server) => this.#nats.isUp(server));
    const server = this.world.random.pick(up);
    if (server === undefined) {
      this.world.after(RECONNECT_MS, () => this.#attach());
      return;
    }
    this.#connection = new SimConnection(this.#nats, server, this.#process, () => {
      this.#connection = undefined;
      this.world.after(RECONNECT_MS, () => this.#attach());
    });
    for (const subject of this.#handlers.keys()) this.#subscribe(subject);
  }

  #subscribe(subject: string): void {
    const sid = this.#connection?.subscribe(subject, (_, message) => this.#handlers.get(subject)?.(message));
    if (sid !== undefined) this.#sids.set(subject, sid);
  }
}

export interface PublisherOptions {
  channels: readonly string[];
  everyMs: number;
  /** Sends again under the same guid until it has an answer or this time is over. 0: sends once. */
  retryForMs: number;
  /** At most. */
  payloadBytes: number;
  /** All messages, and their guids, are of one size. */
  isOneSize?: boolean;
}

const GUID_DIGITS = 6;

const PUBLISH_RETRY_MS = 150;
/** Of a publisher that sends once: an ack may come late. */
const PATIENCE_MS = 20_000;

/** Publishes on and on. */
export class SimPublisher {
  readonly client: SimClient;
  acks = 0;
  isStopped = false;
  readonly #options: PublisherOptions;
  readonly #pending = new Map<string, { channel: string; untilMs: number }>();
  #count = 0;

  constructor(client: SimClient, options: PublisherOptions) {
    this.client = client;
    this.#options = options;
    client.listen(this.#ackInbox, ({ payload }) => {
      const { guid, error } = decodePubAck(payload);
      const pending = this.#pending.get(guid);
      if (pending === undefined) return;
      this.#pending.delete(guid);
      if (error !== '') return;
      this.acks++;
      client.ledger.publishAcked(pending.channel, guid);
    });
    client.onConnected = () => this.#publish();
  }

  /** Neither answered nor given up. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  get #ackInbox(): string {
    return `_INBOX.${this.client.id}.acks`;
  }

  #publish(): void {
    if (this.isStopped) return;
    const { channels, everyMs, retryForMs, payloadBytes, isOneSize = false } = this.#options;
    const { world, ledger, id } = this.client;
    const count = ++this.#count;
    const guid = `${id}-${isOneSize ? String(count).padStart(GUID_DIGITS, '0') : count}`;
    const channel = world.random.pick(channels)!;
    const size = isOneSize ? payloadBytes : world.random.below(payloadBytes);
    const data = Buffer.concat([Buffer.from(`${guid}|`), Buffer.alloc(size, count & 0xff)]);
    ledger.publishSent(channel, guid);
    this.#pending.set(guid, { channel, untilMs: world.nowMs + (retryForMs || PATIENCE_MS) });
    const message = encodePubMsg({
      clientId: id,
      connId: Buffer.from(`conn-${id}`),
      guid,
      subject: channel,
      data,
    });
    this.#send(guid, channel, message);
    world.after(world.between(0.2, 1.8) * everyMs, () => this.#publish());
  }

  #send(guid: string, channel: string, message: Uint8Array): void {
    const { world } = this.client;
    const pending = this.#pending.get(guid);
    if (pending === undefined) return;
    if (world.nowMs >= pending.untilMs) {
      // It may be stored, or not.
      this.#pending.delete(guid);
      return;
    }
    if (this.#options.retryForMs > 0 || !this.#sentOnce.has(guid))
      this.client.send(`${SUBJECTS.publish}.${channel}`, message, this.#ackInbox);
    this.#sentOnce.add(guid);
    world.after(PUBLISH_RETRY_MS, () => this.#send(guid, channel, message));
  }

  readonly #sentOnce = new Set<string>();
}

export interface SubscriberOptions {
  channel: string;
  queueGroup: string;
  durableName: string;
  maxInFlight: number;
  /** How often it acknowledges. */
  ackShare: number;
}

/** Receives, and acknowledges most of it. */
export class SimSubscriber {
  readonly client: SimClient;
  readonly options: SubscriberOptions;
  /** Of those that share a queue group, what all of them got. */
  readonly got: Set<number>;
  onMessage: (message: MsgProto, guid: string) => void = () => {};
  readonly #order = new DeliveryOrder();
  #ackInbox = '';

  constructor(client: SimClient, options: SubscriberOptions, got = new Set<number>()) {
    this.client = client;
    this.options = options;
    this.got = got;
    client.listen(this.#inbox, (message) => this.#received(message));
    client.onConnected = () => this.#subscribe();
  }

  get #inbox(): string {
    return `_INBOX.${this.client.id}.msgs`;
  }

  #subscribe(): void {
    const { client } = this;
    const { channel, queueGroup, durableName, maxInFlight } = this.options;
    const request = encodeSubscriptionRequest({
      clientId: client.id,
      subject: channel,
      queueGroup,
      durableName,
      inbox: this.#inbox,
      maxInFlight,
      ackWaitSeconds: 1,
      startPosition: StartPosition.FIRST,
    });
    client.request(SUBJECTS.subscribe, request, (answer) => {
      const { ackInbox, error } = decodeSubscriptionResponse(answer);
      if (error !== '') client.ledger.violation(`${client.id} cannot subscribe: ${error}`);
      this.#ackInbox = ackInbox;
    });
  }

  #received({ payload, origin, connection }: SimMessage): void {
    const { client, options } = this;
    const message = decodeMsgProto(payload);
    const { sequence, subject, data, redelivered } = message;
    const problem = redelivered ? undefined : this.#order.arrived(sequence, origin, connection);
    if (problem !== undefined) client.ledger.violation(`${client.id}: ${options.channel} ${problem}`);
    const text = Buffer.from(data).toString('latin1');
    const guid = text.slice(0, text.indexOf('|'));
    client.ledger.shown(client.id, subject, sequence, guid);
    this.onMessage(message, guid);
    if (subject !== options.channel) client.ledger.violation(`${client.id}: a message of ${subject}`);
    this.got.add(sequence);
    if (this.#ackInbox === '' || !client.world.chance(options.ackShare)) return;
    client.world.after(client.world.between(0, 10), () =>
      client.send(this.#ackInbox, encodeAck({ subject, sequence })),
    );
  }
}
