/**
 * What was delivered and acknowledged since the store was last told, as inclusive ranges: with in-order traffic one range
 * for a whole batch, whatever its size.
 */
export class Progress {
  /** Flat: [start, end, start, end, ...]. */
  readonly delivered: number[] = [];
  readonly acked: number[] = [];

  get isEmpty(): boolean {
    return this.delivered.length === 0 && this.acked.length === 0;
  }

  addDelivered(sequence: number): void {
    extend(this.delivered, sequence);
  }

  addAcked(sequence: number): void {
    extend(this.acked, sequence);
  }

  clear(): void {
    this.delivered.length = 0;
    this.acked.length = 0;
  }
}

function extend(ranges: number[], sequence: number): void {
  const last = ranges.length - 1;
  if (last > 0 && ranges[last] === sequence - 1) ranges[last] = sequence;
  else ranges.push(sequence, sequence);
}

/** Ascending sequences as inclusive ranges. */
export function toRanges(ascending: readonly number[]): number[] {
  const ranges: number[] = [];
  for (const sequence of ascending) extend(ranges, sequence);
  return ranges;
}
