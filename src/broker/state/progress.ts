import { extendRanges } from '../../util/ranges.js';

/**
 * What was delivered and acknowledged since the store was last told, as inclusive ranges: with in-order traffic one range
 * for a whole batch, whatever its size.
 */
export class Progress {
  /** Flat: [start, end, start, end, ...]. */
  readonly delivered: number[] = [];
  readonly acked: number[] = [];
  #highestAcked = 0;

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

  /** Nobody gets these: they are lost. */
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
    const first = ranges[i]!;
    const last = ranges[i + 1]!;
    if (sequence < first || sequence > last) continue;
    const rest: number[] = [];
    if (first < sequence) rest.push(first, sequence - 1);
    if (sequence < last) rest.push(sequence + 1, last);
    ranges.splice(i, 2, ...rest);
  }
}
