import { decodePubAck, encodePubMsg } from '../protocol/messages.js';
import type { Ledger } from './ledger.js';
import { MAX_INDEX, PAYLOAD_BYTES, writePayload } from './payload.js';
import type { StanClient } from './stan-client.js';

export interface PublisherOptions {
  client: StanClient;
  channel: string;
  /** Id of the drill: `RUN_LENGTH` characters. */
  run: string;
  ledger: Ledger;
  /** Limit of messages without an ack. */
  window: number;
  /** A message without an ack is sent again after this time, under the same guid. */
  retryMs: number;
  /** A message without an ack is given up after this time: it may be stored or not. */
  ackTimeoutMs: number;
  onAck?(nowMs: number): void;
}

const INDEX_DIGITS = 9;
const ZERO = 0x30;
/** Tag of the guid in a PubAck. */
const GUID_TAG = 0x0a;

/**
 * Publishes with acks over the public protocol. A message without an ack is sent again under its guid, which the broker stores once.
 * Only the number and times of a message are kept; its bytes are made again.
 */
export class Publisher {
  readonly ledger: Ledger;
  /** How many messages were given up. */
  unacked = 0;
  readonly #options: PublisherOptions;
  readonly #ackInbox: string;
  readonly #subject: string;
  /** An encoded message with an index of zeros. The next fields are the offsets of guid and payload in it. */
  readonly #template: Buffer;
  readonly #guidLength: number;
  readonly #digitsAt: number;
  readonly #payloadAt: number;
  /** These arrays are rings: message `i` has the slot `i % window`. */
  readonly #firstMs: Float64Array;
  readonly #lastMs: Float64Array;
  readonly #isGivenUp: Uint8Array;
  /** The oldest message without an ack. */
  #oldest = 0;

  constructor(options: PublisherOptions) {
    const { client, channel, run, ledger, window } = options;
    this.#options = options;
    this.ledger = ledger;
    this.#ackInbox = client.newInbox();
    this.#subject = `${client.publishPrefix}.${channel}`;
    this.#firstMs = new Float64Array(window);
    this.#lastMs = new Float64Array(window);
    this.#isGivenUp = new Uint8Array(window);
    const guid = `${run}.${ledger.publisher}.${'0'.repeat(INDEX_DIGITS)}`;
    const data = Buffer.alloc(PAYLOAD_BYTES);
    writePayload(data, 0, run, ledger.publisher, 0);
    const { clientId, connId } = client;
    this.#template = Buffer.from(encodePubMsg({ clientId, connId, guid, subject: channel, data }));
    this.#guidLength = guid.length;
    this.#digitsAt = this.#template.indexOf(guid) + guid.length - INDEX_DIGITS;
    this.#payloadAt = this.#template.indexOf(data);
    client.nats.subscribe(this.#ackInbox, {
      callback: (error, message) => {
        // An empty answer is from NATS, which has no responder: the same as no answer.
        if (error === null && message.data.length > 0) this.#acked(message.data);
      },
    });
  }

  /** How many messages may be sent now. */
  get room(): number {
    const { client, window } = this.#options;
    if (!client.isConnected) return 0;
    return Math.min(window - (this.ledger.sent - this.#oldest), MAX_INDEX - this.ledger.sent);
  }

  get isIdle(): boolean {
    return this.#oldest === this.ledger.sent;
  }

  /** Sends up to `count` new messages, as far as there is room. @returns how many it has sent */
  send(count: number, nowMs: number): number {
    const allowed = Math.min(count, this.room);
    for (let i = 0; i < allowed; i++) {
      const index = this.ledger.send();
      const slot = index % this.#options.window;
      this.#firstMs[slot] = nowMs;
      this.#isGivenUp[slot] = 0;
      this.#publish(index, nowMs);
    }
    return Math.max(0, allowed);
  }

  /** Sends messages again that have waited long enough. Call it every few milliseconds. */
  tick(nowMs: number): void {
    const { window, retryMs, ackTimeoutMs, client } = this.#options;
    this.#settle();
    for (let index = this.#oldest; index < this.ledger.sent; index++) {
      const slot = index % window;
      if (nowMs - this.#lastMs[slot] < retryMs || this.#isDone(index)) continue;
      if (nowMs - this.#firstMs[slot] >= ackTimeoutMs) {
        this.#isGivenUp[slot] = 1;
        this.unacked++;
      } else if (client.isConnected) {
        this.ledger.sendAgain(index);
        this.#publish(index, nowMs);
      }
    }
    this.#settle();
  }

  #publish(index: number, nowMs: number): void {
    const { client, run, ledger, window } = this.#options;
    // nats.js keeps the buffer until it is sent.
    const bytes = Buffer.from(this.#template);
    let rest = index;
    for (let at = this.#digitsAt + INDEX_DIGITS - 1; at >= this.#digitsAt; at--) {
      bytes[at] = ZERO + (rest % 10);
      rest = Math.floor(rest / 10);
    }
    writePayload(bytes, this.#payloadAt, run, ledger.publisher, index);
    this.#lastMs[index % window] = nowMs;
    client.nats.publish(this.#subject, bytes, { reply: this.#ackInbox });
  }

  #acked(data: Uint8Array): void {
    const guidEnd = 2 + this.#guidLength;
    if (data.length !== guidEnd || data[0] !== GUID_TAG) {
      // A refused message is sent again like one without an answer.
      this.ledger.refuse(errorOf(data));
      return;
    }
    let index = 0;
    for (let at = guidEnd - INDEX_DIGITS; at < guidEnd; at++) index = index * 10 + data[at] - ZERO;
    if (!this.ledger.ack(index)) return;
    this.#settle();
    this.#options.onAck?.(performance.now());
  }

  #settle(): void {
    while (this.#oldest < this.ledger.sent && this.#isDone(this.#oldest)) this.#oldest++;
  }

  #isDone(index: number): boolean {
    return this.ledger.isAcked(index) || this.#isGivenUp[index % this.#options.window] !== 0;
  }
}

function errorOf(data: Uint8Array): string {
  try {
    return decodePubAck(data).error;
  } catch (error) {
    return `not a PubAck: ${(error as Error).message}`;
  }
}
