import type { Turns } from './turns.js';

/** Few enough to be sorted in less than a slice. */
const RUN_LENGTH = 1_024;
/** How many are merged between two looks at the time. */
const MERGED_AT_ONCE = 256;

/** Sorts a copy of a list as `sort` does, in slices: a merge sort whose runs are sorted by `sort`. */
export async function sorted<T>(
  list: readonly T[],
  compare: (a: T, b: T) => number,
  turns: Turns,
): Promise<T[]> {
  let runs: T[][] = [];
  for (let at = 0; at < list.length; at += RUN_LENGTH) {
    runs.push(list.slice(at, at + RUN_LENGTH).sort(compare));
    if (turns.isOver) await turns.giveWay();
  }
  while (runs.length > 1) {
    const merged: T[][] = [];
    for (let i = 0; i < runs.length; i += 2) {
      const [a = [], b] = runs.slice(i, i + 2);
      merged.push(b === undefined ? a : await merge(a, b, compare, turns));
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

async function merge<T>(
  a: readonly T[],
  b: readonly T[],
  compare: (a: T, b: T) => number,
  turns: Turns,
): Promise<T[]> {
  const merged: T[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    // If two are equal, the one of the first run comes first.
    if (compare(a[i] as T, b[j] as T) <= 0) merged.push(a[i++] as T);
    else merged.push(b[j++] as T);
    if (merged.length % MERGED_AT_ONCE === 0 && turns.isOver) await turns.giveWay();
  }
  return merged.concat(a.slice(i), b.slice(j));
}
