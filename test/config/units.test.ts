import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseDurationMs, parseSize } from '../../src/config/units.js';

describe('a size', () => {
  it('is a number of bytes, with the units that nats-server knows', () => {
    const sizes = {
      '0': 0,
      '1024000000': 1_024_000_000,
      '1000000*1024': 1_024_000_000,
      '1k': 1000,
      '1KB': 1024,
      '1Ki': 1024,
      '10MB': 10 * 1024 ** 2,
      '10mb': 10 * 1024 ** 2,
      '2 GB': 2 * 1024 ** 3,
      '1GiB': 1024 ** 3,
      '3TB': 3 * 1024 ** 4,
      '5B': 5,
    };
    for (const [text, bytes] of Object.entries(sizes)) assert.equal(parseSize(text), bytes, text);
  });

  it('is nothing else', () => {
    for (const text of ['', 'x', '1XB', '-1', '1.5MB', '1e6', 'MB', '1*', '99999999TB', 'Infinity']) {
      assert.equal(parseSize(text), undefined, text);
    }
  });
});

describe('a duration', () => {
  it('is written as in Go', () => {
    const durations = {
      '0': 0,
      '0s': 0,
      '500ms': 500,
      '30s': 30_000,
      '1h30m': 5_400_000,
      '1.5h': 5_400_000,
      '.5s': 500,
      '1m0.5s': 60_500,
      '100000h': 360_000_000_000,
    };
    for (const [text, ms] of Object.entries(durations)) assert.equal(parseDurationMs(text), ms, text);
  });

  it('that is short does not become none, which would be unlimited', () => {
    for (const text of ['1ns', '1us', '1µs', '0.1ms']) assert.equal(parseDurationMs(text), 1, text);
  });

  it('is nothing else', () => {
    for (const text of ['', '1', '30', 's', '1x', '-1s', '1h 30m', '1d', '1e3s', '9999999999h']) {
      assert.equal(parseDurationMs(text), undefined, text);
    }
  });
});
