import { must } from '../../util/assert.js';
import type { Block, BlockQueue } from '../batch/block.js';
import { recordEnd } from '../format/record.js';
import type { JournalBody, JournalVisitor } from '../types/journal.js';
import type { StoreState } from './store-state.js';

/** Applies the records of a journal to the state that a checkpoint left, and keeps their memory: messages are served from it. */
export class Replay implements JournalVisitor {
  readonly #state: StoreState;
  readonly #blocks: BlockQueue;
  #block: Block | undefined;
  #source = '';

  constructor(state: StoreState, blocks: BlockQueue) {
    this.#state = state;
    this.#blocks = blocks;
  }

  onPiece(buffer: Buffer, source: string, body?: JournalBody): void {
    this.#block = this.#blocks.adopt(buffer);
    if (body !== undefined) this.#block.liesIn(body);
    this.#source = source;
  }

  onBatch(start: number, end: number, timestampNs: bigint): void {
    const state = this.#state;
    const block = must(this.#block, 'batches come in a piece of memory');
    const { id, buffer } = block;
    const ms = Number(timestampNs / 1_000_000n);
    if (timestampNs > state.newestNs) state.newestNs = timestampNs;
    block.mark(start, ms);
    state.guids.addBatch({ buffer, start, end, ms });
    for (let pos = start; pos < end; ) {
      const next = recordEnd(buffer, pos);
      state.apply(buffer, pos, next, id, ms, this.#source);
      pos = next;
    }
  }

  onPieceEnd(end: number): void {
    must(this.#block, 'a piece ends that has begun').used = end;
  }
}
