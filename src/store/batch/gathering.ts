import { StoreError } from '../../files/store-error.js';
import { assert, must } from '../../util/assert.js';
import { BATCH_HEADER_BYTES } from '../format/batch-format.js';
import type { Journal } from '../types/journal.js';
import type { Admission, BatchId } from '../types/store.js';
import type { StoreTime } from '../types/store-time.js';
import { Block, type BlockQueue } from './block.js';

/** What the gathering batch needs of the journal that it is for. */
export type BatchJournal = Pick<Journal, 'append' | 'room'>;

const NO_BLOCK = new Block(0, Buffer.alloc(0));

/**
 * The batch that is being gathered: appends write their records into it, straight into the memory that is written to the journal and
 * that live subscribers are served from. When it closes, the journal gets it.
 */
export class Gathering {
  /** The batch that the next append joins. */
  id: BatchId = 1;
  /** Messages in it, and other records. */
  messages = 0;
  otherRecords = 0;
  readonly #blocks: BlockQueue;
  readonly #time: StoreTime;
  #journal: BatchJournal | undefined;
  #block = NO_BLOCK;
  /** Where it begins in `#block`; -1 while nothing is gathered. */
  #start = -1;
  /** Where in `#block` it must end, so that it fits in the place that it is for. */
  #end = 0;

  constructor(blocks: BlockQueue, time: StoreTime) {
    this.#blocks = blocks;
    this.#time = time;
  }

  /** Appends are taken from now on, for this journal. */
  begin(journal: BatchJournal): void {
    assert(this.#journal === undefined, 'a store has one journal');
    this.#journal = journal;
    this.#block = this.#blocks.add(0);
  }

  /** Nothing is taken any more, and what was gathered is given up: no append finds an open batch. */
  stop(): void {
    this.#journal = undefined;
    this.#start = -1;
  }

  get isOpen(): boolean {
    return this.#start >= 0;
  }

  /** Bytes gathered. */
  get bytes(): number {
    return this.#start < 0 ? 0 : this.#block.used - this.#start;
  }

  /** The newest batch that has anything in it. */
  get appended(): BatchId {
    return this.#start < 0 ? this.id - 1 : this.id;
  }

  /** The block that it is in: all blocks before it are full. */
  get blockId(): number {
    return this.#block.id;
  }

  /** Whether there is room for a message whose record has so many bytes at most. */
  admit(bytes: number): Admission {
    const journal = this.#journal;
    if (journal === undefined) return 'later';
    if (this.#start >= 0) {
      const end = this.#block.used + bytes;
      if (end <= this.#end && end <= this.#start + journal.room.admittedBytes) return 'yes';
    }
    return journal.room.admit(bytes);
  }

  /** The block to append to, at its `used`, with room for `bytes`. Opens the batch if this is the first thing in it. */
  reserve(bytes: number): Block {
    const block = this.#block;
    if (this.#start >= 0 && block.used + bytes <= this.#end) return block;
    return this.#open(bytes);
  }

  #open(bytes: number): Block {
    const journal = this.#journal;
    if (journal === undefined) throw new StoreError('closed', 'The store is closed: nothing can be appended');
    if (this.#start >= 0) this.close();
    const needed = bytes + BATCH_HEADER_BYTES;
    if (this.#block.buffer.length - this.#block.used < needed) this.#block = this.#blocks.add(needed);
    const block = this.#block;
    this.#time.advance();
    const room = Math.max(needed, journal.room.batchRoom(needed));
    this.#start = block.used;
    this.#end = Math.min(block.buffer.length, block.used + room);
    block.mark(block.used, this.#time.ms);
    block.used += BATCH_HEADER_BYTES;
    return block;
  }

  /** Hands the batch to the journal. The next append opens another one. */
  close(): void {
    const { buffer, used } = this.#block;
    const journal = must(this.#journal, 'an open batch has a journal to go to');
    assert(this.#start >= 0, 'a batch is closed once');
    const { id, messages } = this;
    const records = messages + this.otherRecords;
    const timestampNs = this.#time.ns;
    const range = { buffer, start: this.#start, end: used };
    const batch = { id, ...range, messages, records, timestampNs, place: undefined };
    this.id++;
    this.messages = this.otherRecords = 0;
    this.#start = -1;
    this.#block.closed(batch);
    journal.append(batch);
  }
}
