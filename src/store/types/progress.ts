import { must } from '../../util/assert.js';
import { extendRanges } from '../../util/ranges.js';
import type { SequenceRanges } from './store.js';

/**
 * What was delivered to a subscription and acknowledged by it since the last batch, as inclusive ranges: with in-order traffic one range
 * for a whole batch, whatever its size. The broker adds to it, and the store takes it into the batch that closes next.
 */
export class Progress {
  /** Flat: [start, end, start, end, ...]. */
  readonly delivered: number[] = [];
  readonly acked: number[] = [];
  /** In the list of those that go into the next batch. That list alone sets it. */
  isNoted = false;
  #highestAcked = 0;

  /**
   * @param id the subscription's
   * @param isShared its messages may go to another subscription: it is a queue group, or a member of one
   */
  constructor(
    readonly id: number,
    readonly isShared: boolean,
  ) {}

  get isEmpty(): boolean {
    return this.delivered.length === 0 && this.acked.length === 0;
  }

  addDelivered(sequence: number): void {
    // A message that went to another member and has come back: the store takes what was delivered first, what was
    // acknowledged last.
    if (sequence <= this.#highestAcked) withdraw(this.acked, sequence);
    extendRanges(this.delivered, sequence);
  }

  addAcked(sequence: number): void {
    extendRanges(this.acked, sequence);
    if (sequence > this.#highestAcked) this.#highestAcked = sequence;
  }

  /** These are lost, and no subscriber gets them. */
  addSkipped(first: number, last: number): void {
    this.delivered.push(first, last);
    this.acked.push(first, last);
    if (last > this.#highestAcked) this.#highestAcked = last;
  }

  clear(): void {
    this.delivered.length = 0;
    this.acked.length = 0;
    this.#highestAcked = 0;
  }
}

function withdraw(ranges: number[], sequence: number): void {
  for (let i = ranges.length - 2; i >= 0; i -= 2) {
    const first = must(ranges[i], 'a range has a first');
    const last = must(ranges[i + 1], 'a range has a last');
    if (sequence < first || sequence > last) continue;
    const rest: number[] = [];
    if (first < sequence) rest.push(first, sequence - 1);
    if (sequence < last) rest.push(sequence + 1, last);
    ranges.splice(i, 2, ...rest);
  }
}

/** Writes a record into the gathering batch. */
export type WriteProgress = (id: number, delivered: SequenceRanges, acked: SequenceRanges) => void;

const NOTHING: SequenceRanges = [];

/** The progress that goes into the batch that closes next. */
export class NotedProgress {
  readonly #noted: Progress[] = [];

  get isEmpty(): boolean {
    return this.#noted.length === 0;
  }

  /** @returns whether it is the first since the last batch */
  add(progress: Progress): boolean {
    if (progress.isNoted) return false;
    progress.isNoted = true;
    return this.#noted.push(progress) === 1;
  }

  /**
   * Writes all of it, and forgets it.
   *
   * A message that passes from one member of a queue group to another is acknowledged for the first and delivered to the second, and a
   * crash may leave only one of the two records. So all deliveries are written before all acks: then the message comes twice at worst.
   * The other way round, it would belong to neither.
   */
  write(write: WriteProgress): void {
    const noted = this.#noted;
    for (const progress of noted) {
      progress.isNoted = false;
      if (!progress.isShared) writeOne(progress, write);
      else if (progress.delivered.length > 0) write(progress.id, progress.delivered, NOTHING);
    }
    for (const progress of noted) {
      if (!progress.isShared) continue;
      if (progress.acked.length > 0) write(progress.id, NOTHING, progress.acked);
      progress.clear();
    }
    noted.length = 0;
  }
}

/** Writes what has come since the last record, and empties it. */
export function writeOne(progress: Progress, write: WriteProgress): void {
  if (progress.isEmpty) return;
  write(progress.id, progress.delivered, progress.acked);
  progress.clear();
}
