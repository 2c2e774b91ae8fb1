import type { Waits } from './spec.js';

/** Sorts the waits that it is given. */
export function waitsOf(waitsMs: number[]): Waits {
  waitsMs.sort((a, b) => a - b);
  const at = (share: number): number =>
    waitsMs[Math.min(waitsMs.length - 1, Math.floor(waitsMs.length * share))] ?? Number.NaN;
  return { count: waitsMs.length, medianMs: at(0.5), p99Ms: at(0.99), longestMs: at(1) };
}
