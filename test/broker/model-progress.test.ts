import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InFlight } from '../../src/broker/state/in-flight.js';
import { Progress } from '../../src/store/types/progress.js';
import { SeededRandom } from './model-random.js';

function* expanded(ranges: readonly number[]): Iterable<number> {
  for (let i = 0; i < ranges.length; i += 2) for (let at = ranges[i]!; at <= ranges[i + 1]!; at++) yield at;
}

describe('progress', () => {
  it('gives the store what is pending, in whatever order messages came, went and came back', () => {
    const random = new SeededRandom(3);
    for (let life = 0; life < 500; life++) {
      const progress = new Progress(7, false);
      const pending = new Set<number>();
      const recorded = new Set<number>();
      for (let step = 0; step < 60; step++) {
        const sequence = 1 + random.below(12);
        if (pending.has(sequence)) {
          pending.delete(sequence);
          progress.addAcked(sequence);
        } else {
          pending.add(sequence);
          progress.addDelivered(sequence);
        }
        if (!random.chance(10) && step < 59) continue;
        // As the store applies a record.
        for (const delivered of expanded(progress.delivered)) recorded.add(delivered);
        for (const acked of expanded(progress.acked)) recorded.delete(acked);
        progress.clear();
        assert.deepEqual([...recorded].sort(), [...pending].sort());
      }
    }
  });
});

describe('the in-flight window', () => {
  it('has a message once, however often it is added', () => {
    const window = new InFlight();
    for (const deadlineMs of [10, 20, 30]) for (const sequence of [1, 2]) window.add(sequence, deadlineMs, 0);
    assert.equal(window.size, 2);
    assert.equal(window.headDeadlineMs, 30);
    assert.ok(window.remove(1) && window.remove(2));
    assert.deepEqual([window.size, window.headSequence], [0, 0]);
  });
});
