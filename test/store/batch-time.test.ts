import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type { Clock } from '../../src/clock/clock.js';
import { BatchTime } from '../../src/store/batch-time.js';

const START_NS = 1_700_000_000_000_000_000n;
const SECOND_NS = 1_000_000_000n;

describe('the time of batches', () => {
  let nowNs: bigint;
  let warnings: string[];
  let time: BatchTime;

  beforeEach(() => {
    nowNs = START_NS;
    warnings = [];
    const clock: Clock = {
      monotonicMs: () => 0,
      wallNs: () => nowNs,
      setTimer: () => ({ cancel: () => {} }),
    };
    time = new BatchTime(clock, (message) => warnings.push(message));
    time.advance();
  });

  it('stands still while the clock is behind, and says so once', () => {
    nowNs -= 3_600n * SECOND_NS;
    time.advance();
    time.advance();
    assert.equal(time.ns, START_NS);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /3600 s behind the newest message .* Compare the clocks of all members/);
  });

  it('says nothing of a clock that is only a little behind', () => {
    nowNs -= 9n * SECOND_NS;
    time.advance();
    assert.equal(time.ns, START_NS);
    assert.deepEqual(warnings, []);
  });

  it('says so again when the clock had caught up in between', () => {
    for (const stepNs of [-20n, 30n, -20n]) {
      nowNs += stepNs * SECOND_NS;
      time.advance();
    }
    assert.equal(time.ns, START_NS + 10n * SECOND_NS);
    // 20 s behind the start, then 10 s ahead of it, then 20 s behind that.
    assert.equal(warnings.length, 2);
  });

  it('says so of what recovery has found, too', () => {
    time.raise(START_NS + 60n * SECOND_NS);
    time.advance();
    assert.match(warnings.join(), /60 s behind/);
  });
});
