import { type Client, encodePublish } from './client.js';
import type { HotConsumer } from './connection.js';
import type { Waits } from './spec.js';
import { waitsOf } from './waits.js';

const GUID_PREFIX_LENGTH = 12;
const GUID_DIGITS = 10;
const GUID_LENGTH = GUID_PREFIX_LENGTH + GUID_DIGITS;
/** A PubAck without an error: tag, length, guid. */
const PUB_ACK_LENGTH = 2 + GUID_LENGTH;
const ZERO = 0x30;
const TICK_MS = 1;
/** Messages that may wait at the same time, in seconds of its rate. */
const PENDING_SECONDS = 15;
/** A message is sent again if a later one has its ack, and it waits so long. */
const OVERTAKEN_MS = 50;
const SEND_AGAIN_MS = 250;
/** Times the rate: all that waits at once would keep a broker that has just taken over from ever catching up. */
const MAX_AGAIN_PER_TICK_TIMES = 2;

export interface PacedOptions {
  channel: string;
  payloadBytes: number;
  perSecond: number;
  /** 12 characters that are in nothing else of the message. */
  guidPrefix: string;
}

/**
 * Publishes at a rate of its own, however long the acks take: a message waits from the moment at which it was due. One
 * that was lost with a broker is sent again as soon as a later one is acknowledged.
 */
export class PacedPublisher implements HotConsumer {
  sentAgain = 0;
  /** PubAcks with an error. Such a message is sent again like a lost one. */
  refused = 0;
  /** When the last ack came. */
  lastAckMs = performance.now();
  readonly #client: Client;
  readonly #perMs: number;
  readonly #template: Buffer;
  readonly #digitsAt: number;
  /** Rings of messages that wait, by number: 0 once it is acknowledged, else when it was last sent. */
  readonly #sentMs: Float64Array;
  readonly #waitsMs: number[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isFinishing = false;
  #startMs = 0;
  #sent = 0;
  #oldest = 0;
  #highestAcked = -1;
  #refusal: string | undefined;

  constructor(client: Client, { channel, payloadBytes, perSecond, guidPrefix }: PacedOptions) {
    this.#client = client;
    this.#perMs = perSecond / 1_000;
    const ackInbox = `_STAN.acks.${client.connId}`;
    const guid = guidPrefix + '0'.repeat(GUID_DIGITS);
    this.#template = encodePublish(client, { channel, guid, ackInbox, payloadBytes });
    this.#digitsAt = this.#template.indexOf(guid) + GUID_PREFIX_LENGTH;
    this.#sentMs = new Float64Array(Math.ceil(perSecond * PENDING_SECONDS));
    client.connection.subscribeHot(ackInbox, this);
  }

  start(): void {
    this.#startMs = performance.now();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Sends no new messages. Those that were lost are still sent again. */
  finish(): void {
    this.#isFinishing = true;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  get isIdle(): boolean {
    return this.#oldest === this.#sent;
  }

  /** How long the oldest message without an ack has been due. */
  oldestMs(nowMs: number): number {
    return this.isIdle ? 0 : nowMs - this.#dueMs(this.#oldest);
  }

  /** What the broker said when it refused a message for the first time, if it did. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** The waits of all messages with an ack since the start, or since the last call. */
  takeWaits(): Waits {
    return waitsOf(this.#waitsMs.splice(0));
  }

  onPayload(buffer: Buffer, start: number, end: number): void {
    if (end - start !== PUB_ACK_LENGTH) {
      this.refused++;
      this.#refusal ??= buffer.toString('latin1', start + PUB_ACK_LENGTH + 2, end);
      return;
    }
    let index = 0;
    for (let at = end - GUID_DIGITS; at < end; at++) index = index * 10 + buffer[at]! - ZERO;
    const slot = index % this.#sentMs.length;
    if (index < this.#oldest || this.#sentMs[slot] === 0) return;
    this.#sentMs[slot] = 0;
    this.lastAckMs = performance.now();
    this.#waitsMs.push(this.lastAckMs - this.#dueMs(index));
    if (index > this.#highestAcked) this.#highestAcked = index;
    while (this.#oldest < this.#sent && this.#sentMs[this.#oldest % this.#sentMs.length] === 0)
      this.#oldest++;
  }

  onReadEnd(): void {}

  #dueMs(index: number): number {
    return this.#startMs + index / this.#perMs;
  }

  #tick(): void {
    const nowMs = performance.now();
    if (!this.#isFinishing) this.#sendNew(nowMs);
    this.#sendAgain(nowMs);
  }

  #sendNew(nowMs: number): void {
    const due = Math.floor((nowMs - this.#startMs) * this.#perMs) + 1;
    const last = Math.min(due, this.#oldest + this.#sentMs.length);
    const indexes: number[] = [];
    while (this.#sent < last) indexes.push(this.#sent++);
    this.#send(indexes, nowMs);
  }

  #sendAgain(nowMs: number): void {
    const lost: number[] = [];
    // Behind the last message there is none that could overtake it.
    const end = this.#isFinishing ? this.#sent : this.#highestAcked;
    const most = MAX_AGAIN_PER_TICK_TIMES * Math.ceil(TICK_MS * this.#perMs);
    for (let index = this.#oldest; index < end && lost.length < most; index++) {
      const dueMs = this.#dueMs(index);
      if (nowMs - dueMs < OVERTAKEN_MS) break;
      const sentMs = this.#sentMs[index % this.#sentMs.length]!;
      const isFirst = index < this.#highestAcked && sentMs < dueMs + OVERTAKEN_MS;
      if (sentMs !== 0 && nowMs - sentMs >= (isFirst ? OVERTAKEN_MS : SEND_AGAIN_MS)) lost.push(index);
    }
    this.sentAgain += lost.length;
    this.#send(lost, nowMs);
  }

  #send(indexes: readonly number[], nowMs: number): void {
    if (indexes.length === 0) return;
    const size = this.#template.length;
    const bytes = Buffer.allocUnsafe(size * indexes.length);
    indexes.forEach((index, i) => {
      this.#template.copy(bytes, i * size);
      bytes.write(String(index).padStart(GUID_DIGITS, '0'), i * size + this.#digitsAt, 'latin1');
      this.#sentMs[index % this.#sentMs.length] = nowMs;
    });
    this.#client.connection.write(bytes);
  }
}
