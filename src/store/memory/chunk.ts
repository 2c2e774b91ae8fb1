import { must } from '../../util/assert.js';
import { isLent } from '../../util/lent-memory.js';

const MIN_BYTES = 1024;
const MAX_BYTES = 256 * 1024;
/** The typical size of a MsgProto, for the first size of the table of ends. The table grows. */
const TYPICAL_MESSAGE_BYTES = 128;

/** A run of consecutive messages of one channel in memory: their MsgProto bytes back to back, and where each ends. */
export class Chunk {
  readonly buffer: Buffer;
  firstSequence: number;
  count = 0;
  used = 0;
  #ends: Uint32Array;
  /** By the index of the first message that it is true of: the store's own time less what messages bear, where they differ. */
  #shifts: { from: number; ns: bigint }[] | undefined;

  constructor(bytes: number, firstSequence: number) {
    this.buffer = Buffer.allocUnsafeSlow(bytes);
    this.firstSequence = firstSequence;
    this.#ends = new Uint32Array(Math.max(8, Math.ceil(bytes / TYPICAL_MESSAGE_BYTES)));
  }

  get room(): number {
    return this.buffer.length - this.used;
  }

  /** The message's bytes have been written at `used`. */
  added(end: number): void {
    if (this.count === this.#ends.length) {
      const ends = new Uint32Array(this.#ends.length * 2);
      ends.set(this.#ends);
      this.#ends = ends;
    }
    this.#ends[this.count++] = end;
    this.used = end;
  }

  /** The next message is stored under a time that is so much later than the one it bears. */
  shift(ns: bigint): void {
    if (this.#shifts === undefined) {
      if (ns === 0n) return;
      this.#shifts = [];
    }
    if (this.#shifts.at(-1)?.ns !== ns) this.#shifts.push({ from: this.count, ns });
  }

  shiftNs(index: number): bigint {
    return this.#shifts?.findLast(({ from }) => from <= index)?.ns ?? 0n;
  }

  /** For other messages, from this one on. */
  reuse(firstSequence: number): void {
    this.firstSequence = firstSequence;
    this.count = 0;
    this.used = 0;
    this.#shifts = undefined;
  }

  start(index: number): number {
    return index === 0 ? 0 : this.end(index - 1);
  }

  end(index: number): number {
    return must(this.#ends[index], 'a message has an end');
  }
}

/**
 * Chunks of the largest size whose messages have all been dropped, for use again: a full channel at its limit frees one for
 * each that it fills, and new memory costs more than the messages in it.
 */
export class ChunkPool {
  readonly #spare: Chunk[] = [];

  take(bytes: number, firstSequence: number): Chunk {
    const spare = bytes === MAX_BYTES ? this.#spare.pop() : undefined;
    if (spare === undefined) return new Chunk(bytes, firstSequence);
    spare.reuse(firstSequence);
    return spare;
  }

  give(chunk: Chunk): void {
    const isUsual = chunk.buffer.length === MAX_BYTES;
    if (isUsual && this.#spare.length < MAX_SPARE && !isLent(chunk.buffer)) this.#spare.push(chunk);
  }
}

const MAX_SPARE = 16;

/** For a channel that holds `heldBytes`: small channels take little, and what is freed with the head is about a quarter. */
export function chunkBytes(heldBytes: number, messageBytes: number): number {
  let bytes = MIN_BYTES;
  while (bytes < MAX_BYTES && bytes * 4 < heldBytes) bytes *= 2;
  return Math.max(bytes, messageBytes);
}
