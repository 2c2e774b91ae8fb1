import type { LinkHandler } from '../../link/link-handler.js';
import { copyBytes } from '../../util/copy-bytes.js';

/** Memory that messages lie in, one behind the other. A buffer for each of them would be much for the garbage collector. */
interface Chunk {
  readonly buffer: Buffer;
  used: number;
  /** Messages in it that wait. */
  count: number;
}

interface Waiting {
  readonly sid: number;
  readonly chunk: Chunk;
  /** Subject, reply and payload, one behind the other. */
  readonly start: number;
  readonly replyStart: number;
  readonly payloadStart: number;
  readonly end: number;
}

const CHUNK_BYTES = 1024 * 1024;
/** Chunks that are kept for the next time. */
const MAX_SPARE = 8;

/**
 * What came in while it was not known whether there is room for a message. It stays in order: a client's close must not overtake what the
 * client has published before.
 */
export class WaitingMessages {
  readonly #waiting: Waiting[] = [];
  #first = 0;
  #bytes = 0;
  #chunk: Chunk | undefined;
  readonly #spare: Chunk[] = [];

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
    const bytes = subjectEnd - subjectStart + replyEnd - replyStart + payloadEnd - payloadStart;
    const chunk = this.#chunkFor(bytes);
    const start = chunk.used;
    const replyAt = copyBytes(chunk.buffer, start, buffer, subjectStart, subjectEnd);
    const payloadAt = copyBytes(chunk.buffer, replyAt, buffer, replyStart, replyEnd);
    const end = copyBytes(chunk.buffer, payloadAt, buffer, payloadStart, payloadEnd);
    chunk.used = end;
    chunk.count++;
    this.#bytes += bytes;
    this.#waiting.push({ sid, chunk, start, replyStart: replyAt, payloadStart: payloadAt, end });
  }

  /** Hands over the oldest one, which waits until `drop`. */
  hand(to: LinkHandler['onMessage']): void {
    const waiting = this.#waiting[this.#first];
    if (waiting === undefined) return;
    const { sid, chunk, start, replyStart, payloadStart, end } = waiting;
    to(sid, chunk.buffer, start, replyStart, replyStart, payloadStart, payloadStart, end);
  }

  /** The oldest one does not wait any more. */
  drop(): void {
    const waiting = this.#waiting[this.#first++];
    if (waiting !== undefined) {
      const { chunk, start, end } = waiting;
      this.#bytes -= end - start;
      if (--chunk.count === 0) this.#giveBack(chunk);
    }
    if (this.#first * 2 <= this.#waiting.length) return;
    this.#waiting.splice(0, this.#first);
    this.#first = 0;
  }

  /** Their senders do not wait for them any more. */
  clear(): void {
    this.#waiting.length = this.#first = this.#bytes = 0;
    this.#chunk = undefined;
  }

  #chunkFor(bytes: number): Chunk {
    const chunk = this.#chunk;
    if (chunk !== undefined && chunk.buffer.length - chunk.used >= bytes) return chunk;
    const isUsual = bytes <= CHUNK_BYTES;
    const next = (isUsual ? this.#spare.pop() : undefined) ?? newChunk(Math.max(CHUNK_BYTES, bytes));
    this.#chunk = next;
    return next;
  }

  #giveBack(chunk: Chunk): void {
    chunk.used = 0;
    const isUsual = chunk.buffer.length === CHUNK_BYTES;
    if (chunk !== this.#chunk) {
      if (isUsual && this.#spare.length < MAX_SPARE) this.#spare.push(chunk);
    } else if (!isUsual) this.#chunk = undefined;
  }
}

function newChunk(bytes: number): Chunk {
  return { buffer: Buffer.allocUnsafeSlow(bytes), used: 0, count: 0 };
}
