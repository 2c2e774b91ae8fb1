import type { LinkHandler } from '../link/types.js';

interface Waiting {
  sid: number;
  /** Subject, reply and payload, one behind the other. */
  bytes: Buffer;
  replyStart: number;
  payloadStart: number;
}

/**
 * What came in while it was not known whether there is room for a message. It stays in order: a client's close must not overtake what the
 * client has published before.
 */
export class WaitingMessages {
  readonly #waiting: Waiting[] = [];
  #first = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#first === this.#waiting.length;
  }

  /** As `LinkHandler.onMessage`. Copies what it keeps. */
  add(
    sid: number,
    buffer: Buffer,
    subjectStart: number,
    subjectEnd: number,
    replyStart: number,
    replyEnd: number,
    payloadStart: number,
    payloadEnd: number,
  ): void {
    const bytes = Buffer.concat([
      buffer.subarray(subjectStart, subjectEnd),
      buffer.subarray(replyStart, replyEnd),
      buffer.subarray(payloadStart, payloadEnd),
    ]);
    const replyAt = subjectEnd - subjectStart;
    this.#bytes += bytes.length;
    this.#waiting.push({ sid, bytes, replyStart: replyAt, payloadStart: replyAt + replyEnd - replyStart });
  }

  /** Hands over the oldest one, which waits until `drop`. */
  hand(to: LinkHandler['onMessage']): void {
    const waiting = this.#waiting[this.#first];
    if (waiting === undefined) return;
    const { sid, bytes, replyStart, payloadStart } = waiting;
    to(sid, bytes, 0, replyStart, replyStart, payloadStart, payloadStart, bytes.length);
  }

  /** The oldest one does not wait any more. */
  drop(): void {
    const waiting = this.#waiting[this.#first++];
    if (waiting !== undefined) this.#bytes -= waiting.bytes.length;
    if (this.#first * 2 <= this.#waiting.length) return;
    this.#waiting.splice(0, this.#first);
    this.#first = 0;
  }

  /** Nobody waits for them any more. */
  clear(): void {
    this.#waiting.length = this.#first = this.#bytes = 0;
  }
}
