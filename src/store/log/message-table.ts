import { assert, must } from '../../util/assert.js';

const FIRST_SLOTS = 16;

/**
 * Where a channel's newest messages lie in the journal's blocks: a ring of (block id, offset), by sequence.
 */
export class MessageTable {
  /** Sequence of the oldest entry. */
  first: number;
  count = 0;
  #slots = new Uint32Array(2 * FIRST_SLOTS);
  /** Slot of the oldest entry. */
  #head = 0;

  constructor(nextSequence: number) {
    this.first = nextSequence;
  }

  get isFull(): boolean {
    return this.count * 2 === this.#slots.length;
  }

  /** The block of the entry `index`, counted from the oldest. */
  blockId(index: number): number {
    return must(this.#slots[this.#at(index)], 'the ring has all its slots');
  }

  offset(index: number): number {
    return must(this.#slots[this.#at(index) + 1], 'the ring has all its slots');
  }

  push(blockId: number, offset: number): void {
    if (this.isFull) this.#grow();
    const at = this.#at(this.count++);
    this.#slots[at] = blockId;
    this.#slots[at + 1] = offset;
  }

  dropOldest(entries: number): void {
    assert(entries <= this.count, 'only entries that are there are dropped');
    this.#head = (this.#head + entries) & (this.#slots.length / 2 - 1);
    this.first += entries;
    this.count -= entries;
  }

  #at(index: number): number {
    return 2 * ((this.#head + index) & (this.#slots.length / 2 - 1));
  }

  #grow(): void {
    const old = this.#slots;
    const slots = new Uint32Array(old.length * 2);
    const headAt = 2 * this.#head;
    slots.set(old.subarray(headAt));
    slots.set(old.subarray(0, headAt), old.length - headAt);
    this.#slots = slots;
    this.#head = 0;
  }
}
