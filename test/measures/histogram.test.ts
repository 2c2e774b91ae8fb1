import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BYTE_BOUNDS, COUNT_BOUNDS, DURATION_BOUNDS, Histogram } from '../../src/measures/histogram.js';

describe('a histogram', () => {
  it('counts a value in the first bucket that it is not above', () => {
    const histogram = new Histogram([1, 2, 4]);
    for (const value of [0, 1, 1.5, 4]) histogram.observe(value);
    assert.deepEqual(histogram.counts, [2, 1, 1]);
    assert.deepEqual([histogram.count, histogram.sum], [4, 6.5]);
  });

  it('counts what is above all bounds, in the count alone', () => {
    const histogram = new Histogram([1]);
    histogram.observe(5);
    assert.deepEqual([histogram.counts, histogram.count, histogram.sum], [[0], 1, 5]);
  });

  it('counts a value as many times as given', () => {
    const histogram = new Histogram([1, 2]);
    histogram.observe(0.5, 100);
    assert.deepEqual([histogram.counts, histogram.count, histogram.sum], [[100, 0], 100, 50]);
  });

  it('has bounds that ascend, and are written as plain numbers', () => {
    for (const bounds of [DURATION_BOUNDS, BYTE_BOUNDS, COUNT_BOUNDS]) {
      assert.deepEqual(
        bounds,
        bounds.toSorted((a, b) => a - b),
      );
      for (const bound of bounds) assert.equal(Number(String(bound)), bound);
    }
  });
});
