// Two links with the same subscriptions, of which each message is handled once.

import { hash } from 'node:crypto';
import type { LinkHandler } from '../link/link-handler.js';

/** A message of the new link that waits to see whether the old one brings it. */
interface Held {
  readonly sid: number;
  /** The bytes from the subject to the end of the payload. */
  readonly bytes: Buffer;
  /** Offsets in `bytes`. */
  readonly subjectEnd: number;
  readonly replyStart: number;
  readonly replyEnd: number;
  readonly payloadStart: number;
  /** Whether it came on the old link too. */
  isTaken: boolean;
}

/** Limit of messages of the old link that are remembered until the new link brings them. */
const MAX_SEEN = 100_000;
/** Limit of messages of the new link that are held until the old link brings them. Beyond it, messages under way on the old link come twice. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;

/**
 * Merges two links with the same subscriptions under the same numbers, while one replaces the other. Each message goes to the
 * handler once, whichever link brings it, and the messages of one sender keep their order. At first messages of the old link go
 * through at once, and messages that only the new link has brought are held. After `end`, messages of the new link go through.
 *
 * Messages are the same if their bytes are: publishes have a guid, and requests an inbox of their own. A sender that repeats a message
 * byte for byte within these seconds may have to repeat it once more.
 */
export class Overlap {
  readonly fromOld: LinkHandler;
  readonly fromNew: LinkHandler;
  #handler: LinkHandler;
  /** How often each message has come on the old link but not yet on the new one. */
  readonly #seen = new Map<string, number>();
  readonly #held: Held[] = [];
  #firstHeld = 0;
  #heldBytes = 0;
  readonly #heldByKey = new Map<string, Held[]>();
  #isHolding = true;

  constructor(handler: LinkHandler) {
    this.#handler = handler;
    this.fromOld = {
      onMessage: (sid: number, buffer: Buffer, ...offsets: Offsets) => {
        this.#cameOnOld(keyOf(sid, buffer, offsets[0], offsets[5]));
        this.#handler.onMessage(sid, buffer, ...offsets);
      },
      onBatchEnd: () => this.#handler.onBatchEnd(),
    };
    this.fromNew = {
      onMessage: (sid: number, buffer: Buffer, ...offsets: Offsets) => {
        const key = keyOf(sid, buffer, offsets[0], offsets[5]);
        if (this.#wasSeen(key)) return;
        if (this.#isHolding) this.#hold(key, sid, buffer, offsets);
        else this.#handler.onMessage(sid, buffer, ...offsets);
      },
      onBatchEnd: () => this.#handler.onBatchEnd(),
    };
  }

  /** From now on another handler gets what comes in. */
  handOverTo(handler: LinkHandler): void {
    this.#handler = handler;
  }

  /** Ends the old link's part. The held messages go through now. */
  end(): void {
    if (!this.#isHolding) return;
    this.#isHolding = false;
    this.#heldByKey.clear();
    for (const held of this.#held.splice(0).slice(this.#firstHeld)) if (!held.isTaken) this.#pass(held);
    this.#handler.onBatchEnd();
  }

  #cameOnOld(key: string): void {
    const held = this.#heldByKey.get(key)?.shift();
    if (held !== undefined) {
      this.#take(key, held);
      return;
    }
    this.#seen.set(key, (this.#seen.get(key) ?? 0) + 1);
    if (this.#seen.size <= MAX_SEEN) return;
    // The oldest came before the new link was subscribed, so it will not come again.
    const [oldest] = this.#seen.keys();
    if (oldest !== undefined) this.#seen.delete(oldest);
  }

  #wasSeen(key: string): boolean {
    const times = this.#seen.get(key);
    if (times === undefined) return false;
    if (times === 1) this.#seen.delete(key);
    else this.#seen.set(key, times - 1);
    return true;
  }

  #hold(
    key: string,
    sid: number,
    buffer: Buffer,
    [subjectStart, subjectEnd, replyStart, replyEnd, payloadStart, payloadEnd]: Offsets,
  ): void {
    const held: Held = {
      sid,
      bytes: Buffer.from(buffer.subarray(subjectStart, payloadEnd)),
      subjectEnd: subjectEnd - subjectStart,
      replyStart: replyStart - subjectStart,
      replyEnd: replyEnd - subjectStart,
      payloadStart: payloadStart - subjectStart,
      isTaken: false,
    };
    this.#held.push(held);
    this.#heldBytes += held.bytes.length;
    const same = this.#heldByKey.get(key);
    if (same === undefined) this.#heldByKey.set(key, [held]);
    else same.push(held);
    if (this.#heldBytes > MAX_HELD_BYTES) this.end();
  }

  #take(key: string, held: Held): void {
    held.isTaken = true;
    this.#heldBytes -= held.bytes.length;
    if (this.#heldByKey.get(key)?.length === 0) this.#heldByKey.delete(key);
    while (this.#held[this.#firstHeld]?.isTaken === true) this.#firstHeld++;
    if (this.#firstHeld < 1024 || this.#firstHeld * 2 < this.#held.length) return;
    this.#held.splice(0, this.#firstHeld);
    this.#firstHeld = 0;
  }

  #pass({ sid, bytes, subjectEnd, replyStart, replyEnd, payloadStart }: Held): void {
    this.#handler.onMessage(sid, bytes, 0, subjectEnd, replyStart, replyEnd, payloadStart, bytes.length);
  }
}

/** The offsets of a message in its buffer, as in `LinkHandler.onMessage`. */
export type Offsets = [
  subjectStart: number,
  subjectEnd: number,
  replyStart: number,
  replyEnd: number,
  payloadStart: number,
  payloadEnd: number,
];

/** A key that is the same on both links, since both servers write the same bytes for a message. */
function keyOf(sid: number, buffer: Buffer, subjectStart: number, payloadEnd: number): string {
  return `${sid} ${hash('sha1', buffer.subarray(subjectStart, payloadEnd), 'base64')}`;
}
