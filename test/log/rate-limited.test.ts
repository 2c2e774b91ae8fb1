import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Clock } from '../../src/clock/clock.js';
import { type LogFields, type Logger, silentLogger } from '../../src/log/logger.js';
import { RateLimitedLog } from '../../src/log/rate-limited.js';

const INTERVAL_MS = 1000;

describe('bad input in the log', () => {
  it('makes one line at first, and one with the count at the end of the interval', () => {
    const { log, lines, pass } = setUp();
    for (let n = 1; n <= 5; n++) log.note('not a PubMsg', () => ({ n }));
    assert.deepEqual(lines, [['not a PubMsg', { n: 1 }]]);
    pass();
    assert.deepEqual(lines.slice(1), [
      ['not a PubMsg: more of the same', { count: 4, withinMs: INTERVAL_MS }],
    ]);
  });

  it('stays at a line an interval while it goes on, and is logged at once after a quiet one', () => {
    const { log, lines, pass } = setUp();
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 100; n++) log.note('x');
      pass();
    }
    assert.equal(lines.length, 4);
    pass();
    log.note('x', () => ({ again: true }));
    assert.deepEqual(lines.slice(4), [['x', { again: true }]]);
  });

  it('has its own interval for each kind', () => {
    const { log, lines } = setUp();
    log.note('a');
    log.note('b');
    assert.equal(lines.length, 2);
  });

  it('is not looked into for lines that are not written', () => {
    const { log } = setUp();
    let looked = 0;
    for (let n = 0; n < 100; n++) log.note('x', () => ({ looked: ++looked }));
    assert.equal(looked, 1);
  });

  it('is counted by kind, and kinds are bounded', () => {
    const { log } = setUp();
    for (let n = 0; n < 1000; n++) log.note(`kind ${n}`);
    log.note('kind 0');
    const counts = new Map(log.counts());
    assert.equal(counts.get('kind 0'), 2);
    assert.ok(counts.size < 300);
    assert.equal(
      [...counts.values()].reduce((sum, count) => sum + count),
      1001,
    );
  });
});

function setUp() {
  const lines: [string, LogFields][] = [];
  const timers: (() => void)[] = [];
  const logger: Logger = { ...silentLogger, warn: (fields, message) => lines.push([message, fields]) };
  const clock: Clock = {
    monotonicMs: () => 0,
    wallNs: () => 0n,
    setTimer(_delayMs, callback) {
      timers.push(callback);
      return { cancel: () => {} };
    },
  };
  const pass = (): void => {
    for (const timer of timers.splice(0)) timer();
  };
  return { log: new RateLimitedLog(logger, clock, INTERVAL_MS), lines, pass };
}
