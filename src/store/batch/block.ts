import { assert, must } from '../../util/assert.js';
import { isLent } from '../../util/lent-memory.js';
import type { Batch, BatchPlace, JournalBody } from '../types/journal.js';

/** Where batches with one timestamp begin in a block. */
const FIRST_MARKS = 16;

/**
 * A piece of the journal in memory. Batches are gathered in it, written from it, and messages are delivered from it as
 * long as it stays.
 */
export class Block {
  readonly id: number;
  readonly buffer: Buffer;
  /** Bytes in use. */
  used = 0;
  #marks = 0;
  #markStarts = new Uint32Array(FIRST_MARKS);
  #markMs = new Float64Array(FIRST_MARKS);
  #lastMark = 0;
  /** The batch of each mark: the journal notes in it where it lies. */
  #batches: Pick<Batch, 'place'>[] = [];
  /** Where all its batches lie, if it was read from a journal. */
  #place: BatchPlace | undefined;

  constructor(id: number, buffer: Buffer) {
    this.id = id;
    this.buffer = buffer;
  }

  /** Messages from `start` on have this timestamp, until the next mark. */
  mark(start: number, timestampMs: number): void {
    if (this.#marks === this.#markStarts.length) {
      const starts = new Uint32Array(this.#marks * 2);
      starts.set(this.#markStarts);
      this.#markStarts = starts;
      const ms = new Float64Array(this.#marks * 2);
      ms.set(this.#markMs);
      this.#markMs = ms;
    }
    this.#markStarts[this.#marks] = start;
    this.#markMs[this.#marks++] = timestampMs;
  }

  /** The batch of the newest mark is closed. */
  closed(batch: Pick<Batch, 'place'>): void {
    this.#batches.push(batch);
    assert(this.#batches.length === this.#marks, 'each batch in a block has its mark');
  }

  /** It was read from this file of a journal, where all has the same offsets. */
  liesIn(body: JournalBody): void {
    this.#place = { body, shift: 0 };
  }

  /** Where the batch lies for good that has a record at `offset`; undefined if the journal keeps no files. */
  placeOf(offset: number): BatchPlace | undefined {
    return this.#place ?? this.#batches[this.#markOf(offset)]?.place;
  }

  /** Timestamp of the message whose record is at `offset`. */
  timestampMs(offset: number): number {
    return this.#msOf(this.#markOf(offset));
  }

  #markOf(offset: number): number {
    const mark = this.#lastMark;
    if (this.#startOf(mark) <= offset) {
      // Reading goes forward mostly.
      if (mark + 1 >= this.#marks || this.#startOf(mark + 1) > offset) return mark;
      if (mark + 2 >= this.#marks || this.#startOf(mark + 2) > offset) {
        this.#lastMark = mark + 1;
        return mark + 1;
      }
    }
    let low = 0;
    let high = this.#marks - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#startOf(middle) <= offset) low = middle;
      else high = middle - 1;
    }
    this.#lastMark = low;
    return low;
  }

  #startOf(mark: number): number {
    return must(this.#markStarts[mark], 'a mark has a start');
  }

  #msOf(mark: number): number {
    return must(this.#markMs[mark], 'a mark has a time');
  }
}

/**
 * As many as checkpoints let go at once under load, of four journal files and what came meanwhile: without them, each would be followed by as
 * much new memory, and the system's work for a page that is touched for the first time costs more than the copy of a message into it.
 */
const MAX_SPARE = 10;

/** The journal's newest blocks, oldest first: those not yet in segments, and before them a cache within a budget. */
export class BlockQueue {
  readonly blockBytes: number;
  readonly #cacheBytes: number;
  #blocks: Block[] = [];
  /** Id of `#blocks[0]`. */
  #firstId = 1;
  /** Blocks before this id are in segments wholly. */
  #pinnedFrom = 1;
  #bytes = 0;
  #spare: Buffer[] = [];

  constructor(blockBytes: number, cacheBytes: number) {
    this.blockBytes = blockBytes;
    this.#cacheBytes = cacheBytes;
  }

  /** `undefined` if it has been let go. */
  get(id: number): Block | undefined {
    return this.#blocks[id - this.#firstId];
  }

  get firstId(): number {
    return this.#firstId;
  }

  /** A new block with room for `bytes`. */
  add(bytes: number): Block {
    const buffer =
      bytes <= this.blockBytes
        ? (this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.blockBytes))
        : Buffer.allocUnsafeSlow(bytes);
    return this.adopt(buffer);
  }

  /** What was read from a journal becomes a block as it is. */
  adopt(buffer: Buffer): Block {
    const block = new Block(this.#firstId + this.#blocks.length, buffer);
    this.#blocks.push(block);
    this.#bytes += buffer.length;
    this.#evict();
    return block;
  }

  /** What blocks before this one hold is in segments. */
  unpinBefore(id: number): void {
    this.#pinnedFrom = Math.max(this.#pinnedFrom, id);
    this.#evict();
  }

  /** Bytes kept for blocks to come. */
  get spareBytes(): number {
    return this.#spare.length * this.blockBytes;
  }

  /** Gives back what is kept for blocks to come. */
  releaseSpare(): void {
    this.#spare = [];
  }

  #evict(): void {
    let count = 0;
    while (this.#bytes > this.#cacheBytes && this.#firstId + count < this.#pinnedFrom) {
      const { buffer } = must(this.#blocks[count], 'blocks up to the pinned ones are there');
      this.#bytes -= buffer.length;
      const isUsual = buffer.length === this.blockBytes;
      if (isUsual && this.#spare.length < MAX_SPARE && !isLent(buffer)) this.#spare.push(buffer);
      count++;
    }
    if (count === 0) return;
    this.#blocks.splice(0, count);
    this.#firstId += count;
  }
}
