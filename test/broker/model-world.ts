import assert from 'node:assert/strict';
import { Broker } from '../../src/broker/broker.js';
import { silentLogger } from '../../src/log/logger.js';
import { decodeMsgProto } from '../../src/protocol/messages.js';
import { ManualClock } from '../clock/manual-clock.js';
import { NO_LIMITS, RecordingLink } from './in-memory.js';
import type { SeededRandom } from './model-random.js';
import { ModelChannel, type ModelSubscription, type Receiver } from './model-receiver.js';
import { ModelStore } from './model-store.js';

export const HEARTBEAT_INTERVAL_MS = 1000;
const HEARTBEAT_TIMEOUT_MS = 100;
const HEARTBEAT_FAIL_COUNT = 2;
const OWNER_ANSWER_MS = 500;
const STEP_MS = 50;

/** A client's connection, as the client knows it. */
export interface ModelConnection {
  readonly clientId: string;
  readonly connId: string;
  readonly heartbeatInbox: string;
  readonly subscriptions: Set<ModelSubscription>;
  isAlive: boolean;
  isOpen: boolean;
  lastDeadMs: number;
}

/** The broker under test on a store, a clock and a link that the test owns, beside what it should be like. */
export class ModelWorld {
  readonly clock = new ManualClock();
  readonly store: ModelStore;
  readonly channels = new Map<string, ModelChannel>();
  readonly connections = new Map<string, ModelConnection>();
  readonly receivers = new Map<string, Receiver>();
  readonly byInbox = new Map<string, ModelSubscription>();
  /** Heartbeat inboxes of all connections there ever were. */
  readonly #byHeartbeat = new Map<string, ModelConnection>();
  readonly #byConnId = new Map<string, ModelConnection>();
  /** Who waits for an answer, by reply inbox. */
  readonly #answers = new Map<string, (payload: Buffer) => void>();
  readonly #deferred: (() => void)[] = [];
  broker!: Broker;
  link: RecordingLink | undefined;
  #names = 0;
  #isInBatch = false;
  readonly #log: string[] = [];

  constructor(
    readonly random: SeededRandom,
    readonly maxMessages: number,
  ) {
    this.store = new ModelStore(this.clock, () => {
      for (const channel of this.channels.values()) channel.committed = channel.last;
    });
    this.startBroker();
  }

  note(line: string): void {
    this.#log.push(`${this.clock.monotonicMs()} ${line}`);
  }

  /** What happened, for whoever looks into a failure. */
  get story(): string {
    return this.#log.join('\n');
  }

  name(prefix: string): string {
    return `${prefix}${++this.#names}`;
  }

  channel(name: string): ModelChannel {
    let channel = this.channels.get(name);
    if (channel === undefined) {
      channel = new ModelChannel(name, this.maxMessages);
      this.channels.set(name, channel);
    }
    return channel;
  }

  startBroker(): void {
    const limits = { ...NO_LIMITS, maxMessages: this.maxMessages };
    this.broker = new Broker({
      options: {
        clusterId: 'c',
        discoverPrefix: '_STAN.discover',
        heartbeatIntervalMs: HEARTBEAT_INTERVAL_MS,
        heartbeatTimeoutMs: HEARTBEAT_TIMEOUT_MS,
        heartbeatFailCount: HEARTBEAT_FAIL_COUNT,
        maxChannels: 0,
        limitsFor: () => limits,
        maxPendingBytes: 1 << 30,
        replaceDurable: false,
      },
      store: this.store,
      clock: this.clock,
      log: silentLogger,
      pinger: { ping: (inbox, timeoutMs) => this.#ping(inbox, timeoutMs) },
      hashSeed: 1,
      random: (size) => Buffer.alloc(size, this.name('secret ')),
      defer: (callback) => this.#deferred.push(callback),
      onFailed: (error) => {
        throw error;
      },
    });
  }

  #ping(inbox: string, timeoutMs: number): Promise<boolean> {
    if (this.link !== undefined && this.#byHeartbeat.get(inbox)?.isAlive) return Promise.resolve(true);
    return new Promise((resolve) => {
      this.clock.setTimer(timeoutMs, () => resolve(false));
    });
  }

  connectionMade(connection: ModelConnection): void {
    this.#byHeartbeat.set(connection.heartbeatInbox, connection);
    this.#byConnId.set(connection.connId, connection);
  }

  async linkUp(): Promise<void> {
    if (this.link !== undefined) return;
    this.note('link up');
    this.link = new RecordingLink();
    const up = this.broker.linkUp(this.link);
    await up;
    await this.settle();
  }

  linkDown(): void {
    if (this.link === undefined) return;
    this.note('link down');
    this.link = undefined;
    this.broker.linkDown();
    // They would ask again, or not; the broker does not know that its answer was lost.
    for (const sub of this.byInbox.values()) this.#findAckInbox(sub);
  }

  #findAckInbox(sub: ModelSubscription): void {
    if (sub.isAnswered || sub.isEnded) return;
    for (const { inbox, ackInbox } of this.broker.subscriptions.values()) {
      if (inbox !== sub.inbox) continue;
      sub.ackInbox = ackInbox;
      sub.isAnswered = true;
    }
  }

  /** Hands a message to the broker, as the link does. */
  send(subject: string, payload: Uint8Array, onAnswer?: (payload: Buffer) => void): void {
    const { link } = this;
    if (link === undefined) return;
    const reply = onAnswer === undefined ? '' : this.name('_R.');
    if (onAnswer !== undefined) this.#answers.set(reply, onAnswer);
    const buffer = Buffer.concat([Buffer.from(subject), Buffer.from(reply), payload]);
    const replyStart = Buffer.byteLength(subject);
    const start = replyStart + reply.length;
    this.#isInBatch = true;
    this.broker.onMessage(
      link.sidOf(subject),
      buffer,
      0,
      replyStart,
      replyStart,
      start,
      start,
      buffer.length,
    );
    buffer.fill(0x21);
  }

  async endBatch(): Promise<void> {
    if (this.#isInBatch && this.link !== undefined) {
      this.#isInBatch = false;
      this.broker.onBatchEnd();
    }
    await this.settle();
  }

  async pass(ms: number): Promise<void> {
    await this.endBatch();
    for (let left = ms; left > 0; left -= STEP_MS) {
      this.clock.advance(Math.min(STEP_MS, left));
      await this.settle();
    }
  }

  runDeferred(): void {
    for (const callback of this.#deferred.splice(0)) callback();
  }

  /** Lets everything happen that waits for nothing but its turn, and looks at what was sent. */
  async settle(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.link === undefined) for (const sub of this.byInbox.values()) this.#findAckInbox(sub);
    const gone = [...this.connections.values()].filter(
      ({ clientId, connId }) => this.#connIdOf(clientId) !== connId,
    );
    const sent = this.link?.sent.splice(0) ?? [];
    for (const { subject, payload } of sent) {
      const answer = this.#answers.get(subject);
      if (answer !== undefined) {
        this.#answers.delete(subject);
        answer(payload);
        continue;
      }
      const sub = this.byInbox.get(subject);
      assert.ok(sub, `something was sent to ${subject}, where nobody is`);
      const message = decodeMsgProto(payload);
      const { sequence, redeliveryCount } = message;
      this.note(`deliver ${sequence} to ${subject}${redeliveryCount > 0 ? ` (${redeliveryCount})` : ''}`);
      sub.receiver.delivered(sub, message, this.clock.monotonicMs(), gone.length === 0);
    }
    for (const connection of gone) {
      assert.ok(
        !this.#hasAnsweredLately(connection),
        `client ${connection.clientId} was closed, and it answers`,
      );
      this.connectionEnded(connection);
    }
    // A check of an owner that did not answer has ended.
    for (const { id } of this.broker.clients.all()) {
      const connection = this.#byConnId.get(this.#connIdOf(id)!)!;
      if (!connection.isOpen) this.connectionOpened(connection);
    }
    if (this.store.isSettled) {
      for (const { recent } of this.receivers.values()) recent.clear();
    }
  }

  #connIdOf(clientId: string): string | undefined {
    const client = this.broker.clients.get(clientId);
    return client && Buffer.from(client.record.connId).toString();
  }

  revive(connection: ModelConnection): void {
    if (!connection.isAlive) connection.lastDeadMs = this.clock.monotonicMs();
    connection.isAlive = true;
  }

  /** Who asked it before it came back has no answer yet. */
  #hasAnsweredLately({ isAlive, lastDeadMs }: ModelConnection): boolean {
    return isAlive && this.clock.monotonicMs() - lastDeadMs > OWNER_ANSWER_MS + STEP_MS;
  }

  connectionOpened(connection: ModelConnection): void {
    connection.isOpen = true;
    this.connections.set(connection.clientId, connection);
  }

  connectionEnded(connection: ModelConnection): void {
    this.note(`client ${connection.connId} ended`);
    connection.isOpen = false;
    if (this.connections.get(connection.clientId) === connection)
      this.connections.delete(connection.clientId);
    for (const sub of [...connection.subscriptions]) this.subscriptionEnded(sub, 'close');
  }

  subscriptionEnded(sub: ModelSubscription, how: 'close' | 'unsubscribe'): void {
    const { receiver } = sub;
    receiver.left(sub);
    this.connections.get(sub.clientId)?.subscriptions.delete(sub);
    const { isDurable } = receiver.kind;
    if (receiver.online.size === 0 && (!isDurable || how === 'unsubscribe'))
      this.receivers.delete(receiver.key);
  }

  /** The broker ends without a word, and another one starts. */
  async restart(): Promise<void> {
    await this.endBatch();
    this.store.releaseCommits();
    await this.settle();
    if (this.store.hasGathered) {
      this.store.commit();
      await this.settle();
    }
    this.note('restart');
    this.linkDown();
    this.broker.stop();
    this.#deferred.length = 0;
    for (const receiver of this.receivers.values()) receiver.restarted();
    for (const sub of this.byInbox.values()) delete sub.endedAtMs;
    this.store.recover();
    this.startBroker();
    await this.settle();
  }
}
