/** Adds a sequence to flat inclusive ranges, [start, end, start, end, ...]. Sequences must come in ascending order. */
export function extendRanges(ranges: number[], sequence: number): void {
  const last = ranges.length - 1;
  if (last > 0 && ranges[last] === sequence - 1) ranges[last] = sequence;
  else ranges.push(sequence, sequence);
}

/** Ascending sequences as inclusive ranges. */
export function toRanges(ascending: readonly number[]): number[] {
  const ranges: number[] = [];
  for (const sequence of ascending) extendRanges(ranges, sequence);
  return ranges;
}
