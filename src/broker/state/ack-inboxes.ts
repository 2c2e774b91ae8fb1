import type { RandomBytes } from '../../store/types/store-id.js';

/** 128 bits: no client finds the ack inbox of another one's subscription by trying. */
const SECRET_BYTES = 16;

/** Where a subscription's acks come, and what the subject of one says. */
export class AckInboxes {
  /** The subscription of the ack inbox that was read last. */
  id = 0;
  #buffer: Buffer = NO_BYTES;
  #start = 0;
  #end = 0;

  readonly #random: RandomBytes;

  /**
   * @param prefix the store's, with the dot at its end: acks come on one wildcard subscription, over restarts and takeovers
   * @param random hard to guess
   */
  constructor(
    readonly prefix: string,
    random: RandomBytes,
  ) {
    this.#random = random;
  }

  /**
   * A new name, for a new subscription, or for a durable that comes back: a client that still holds the old one (a client that was
   * replaced, or the subscription that was replaced) has no say any more.
   */
  newName(id: number): string {
    return `${this.prefix}${id}-${Buffer.from(this.#random(SECRET_BYTES)).toString('base64url')}`;
  }

  /** Whether acks to this subject come on the store's own subscription. If not, it came along with an import. */
  isOwn(ackInbox: string): boolean {
    return ackInbox.startsWith(this.prefix);
  }

  /**
   * Reads the subscription out of a subject into `id`. Whether it has this ack inbox is for `isOf` to say, before the buffer changes.
   *
   * @returns false if it names no ack inbox: any client that knows the prefix can send to it
   */
  read(buffer: Buffer, start: number, end: number): boolean {
    const from = start + this.prefix.length;
    let id = 0;
    let at = from;
    for (; at < end; at++) {
      const digit = buffer[at] - ZERO;
      if (digit < 0 || digit > 9) break;
      id = id * 10 + digit;
    }
    if (at === from || at - from > MAX_DIGITS || (at < end && buffer[at] !== DASH)) return false;
    this.id = id;
    this.#buffer = buffer;
    this.#start = from;
    this.#end = end;
    return true;
  }

  /**
   * Whether the subject that was read last is the ack inbox with this token. The time that this takes does not depend on where the two
   * differ, so it reveals nothing about the name.
   */
  isOf(token: Buffer): boolean {
    const buffer = this.#buffer;
    const start = this.#start;
    const { length } = token;
    if (this.#end - start !== length) return false;
    let difference = 0;
    for (let i = 0; i < length; i++) difference |= token[i] ^ buffer[start + i];
    return difference === 0;
  }
}

/** The last token of an ack inbox, by which the subscription is known. Those of version 0.1.0 are a number, or two. */
export function ackToken(ackInbox: string): Buffer {
  return Buffer.from(ackInbox.slice(ackInbox.lastIndexOf('.') + 1));
}

const NO_BYTES = Buffer.alloc(0);
const DASH = 0x2d;
const ZERO = 0x30;
/** As a u32 has them. */
const MAX_DIGITS = 10;
