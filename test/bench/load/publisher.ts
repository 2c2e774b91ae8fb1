import { type Client, encodePublish } from './client.js';
import type { HotConsumer } from './connection.js';

const GUID_PREFIX_LENGTH = 12;
const GUID_DIGITS = 10;
const GUID_LENGTH = GUID_PREFIX_LENGTH + GUID_DIGITS;
/** A PubAck without an error: tag, length, guid. */
const PUB_ACK_LENGTH = 2 + GUID_LENGTH;
const ZERO = 0x30;
const NINE = 0x39;

export interface PublisherOptions {
  channels: readonly string[];
  payloadBytes: number;
  window: number;
  /** 12 characters that are in nothing else of the message. */
  guidPrefix: string;
  /** @returns how many of `count` messages may be sent now: exactly those are sent */
  allow: (count: number) => number;
  onProgress: () => void;
}

/**
 * Publishes as a stan client does: a window of messages that wait for their PubAcks. The window is one buffer of encoded
 * messages, each of a fixed place; acks free places, and a place is sent again with only its guid changed. That rests on
 * PubAcks coming in order, which is checked.
 */
export class Publisher implements HotConsumer {
  sent = 0;
  acked = 0;
  readonly #client: Client;
  readonly #options: PublisherOptions;
  readonly #ackInbox: string;
  readonly #ring: Buffer;
  readonly #slotBytes: number;
  readonly #guidAt: number;
  readonly #counter = new Uint8Array(GUID_DIGITS).fill(ZERO);
  #sendSlot = 0;
  #ackSlot = 0;

  constructor(client: Client, options: PublisherOptions) {
    this.#client = client;
    this.#options = options;
    this.#ackInbox = `_STAN.acks.${client.connId}`;
    const slots: Buffer[] = [];
    for (let i = 0; i < options.window; i++)
      slots.push(this.#encode(options.channels[i % options.channels.length]!));
    this.#slotBytes = slots[0]!.length;
    if (slots.some((slot) => slot.length !== this.#slotBytes))
      throw new Error('bench: channel names of one run must have one length');
    this.#ring = Buffer.concat(slots);
    this.#guidAt = slots[0]!.indexOf(options.guidPrefix);
    client.connection.subscribeHot(this.#ackInbox, this);
  }

  /** Sends as much as the window has room for, and as is allowed. */
  pump(): void {
    const { window, allow } = this.#options;
    let count = window - (this.sent - this.acked);
    if (count > 0) count = allow(count);
    while (count > 0) {
      const run = Math.min(count, window - this.#sendSlot);
      const start = this.#sendSlot * this.#slotBytes;
      for (let i = 0; i < run; i++)
        this.#stamp(start + i * this.#slotBytes + this.#guidAt + GUID_PREFIX_LENGTH);
      this.#client.connection.write(this.#ring.subarray(start, start + run * this.#slotBytes));
      this.sent += run;
      this.#sendSlot = (this.#sendSlot + run) % window;
      count -= run;
    }
  }

  onPayload(buffer: Buffer, start: number, end: number): void {
    const expected = this.#ackSlot * this.#slotBytes + this.#guidAt + GUID_LENGTH;
    const ring = this.#ring;
    if (
      end - start !== PUB_ACK_LENGTH ||
      buffer[end - 1] !== ring[expected - 1] ||
      buffer[end - 2] !== ring[expected - 2] ||
      buffer[end - 3] !== ring[expected - 3] ||
      buffer[end - 4] !== ring[expected - 4]
    ) {
      const guid = ring.toString('latin1', expected - GUID_LENGTH, expected);
      const got = JSON.stringify(buffer.toString('latin1', start, end));
      throw new Error(
        `bench: PubAck ${this.acked + 1} should be for guid ${guid} and without an error, but is ${got}`,
      );
    }
    if (++this.#ackSlot === this.#options.window) this.#ackSlot = 0;
    this.acked++;
  }

  onReadEnd(): void {
    this.#options.onProgress();
    this.pump();
  }

  #stamp(at: number): void {
    const counter = this.#counter;
    let digit = GUID_DIGITS - 1;
    while (counter[digit] === NINE) counter[digit--] = ZERO;
    counter[digit]!++;
    for (let i = 0; i < GUID_DIGITS; i++) this.#ring[at + i] = counter[i]!;
  }

  #encode(channel: string): Buffer {
    const { guidPrefix, payloadBytes } = this.#options;
    const guid = guidPrefix + '0'.repeat(GUID_DIGITS);
    return encodePublish(this.#client, { channel, guid, ackInbox: this.#ackInbox, payloadBytes });
  }
}
