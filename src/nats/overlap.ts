import { hash } from 'node:crypto';
import type { LinkHandler } from '../link/link-handler.js';

interface Held {
  readonly sid: number;
  /** From the subject to the end of the payload, as they came. */
  readonly bytes: Buffer;
  /** Offsets in `bytes`. */
  readonly subjectEnd: number;
  readonly replyStart: number;
  readonly replyEnd: number;
  readonly payloadStart: number;
  /** It came on the old link too. */
  isTaken: boolean;
}

/** Messages of the old link that are remembered until the new one has brought them. */
const MAX_SEEN = 100_000;
/** Of the new link, until the old one has brought them. If there are more, what is still under way on the old one comes twice. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;

/**
 * Two links with the same subscriptions under the same numbers, while one takes the place of the other: each message goes to the
 * handler once, whichever brings it, and those of one sender in their order. While both are heard, the old link's go through at once,
 * and what the new one alone has brought is held back. From `end` on the new link's go through.
 *
 * Messages are the same if their bytes are: publishes have a guid, requests an inbox of their own. A sender that repeats one to the
 * byte in these seconds may have to repeat it once more.
 */
export class Overlap {
  readonly fromOld: LinkHandler;
  readonly fromNew: LinkHandler;
  readonly #handler: LinkHandler;
  /** How often each came on the old link alone so far. */
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
        handler.onMessage(sid, buffer, ...offsets);
      },
      onBatchEnd: () => handler.onBatchEnd(),
    };
    this.fromNew = {
      onMessage: (sid: number, buffer: Buffer, ...offsets: Offsets) => {
        const key = keyOf(sid, buffer, offsets[0], offsets[5]);
        if (this.#wasSeen(key)) return;
        if (this.#isHolding) this.#hold(key, sid, buffer, offsets);
        else handler.onMessage(sid, buffer, ...offsets);
      },
      onBatchEnd: () => handler.onBatchEnd(),
    };
  }

  /** The old link brings nothing any more. What it has not brought goes through now. */
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
    // It came before the new link was subscribed.
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

/** Of a message, as `LinkHandler.onMessage` has them. */
export type Offsets = [
  subjectStart: number,
  subjectEnd: number,
  replyStart: number,
  replyEnd: number,
  payloadStart: number,
  payloadEnd: number,
];

/** Both servers write the same line for a message: subject, number of the subscription, reply, size. */
function keyOf(sid: number, buffer: Buffer, subjectStart: number, payloadEnd: number): string {
  return `${sid} ${hash('sha1', buffer.subarray(subjectStart, payloadEnd), 'base64')}`;
}
