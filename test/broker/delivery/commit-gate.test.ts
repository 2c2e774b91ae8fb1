import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { CommitGate } from '../../../src/broker/delivery/commit-gate.js';
import { Channel } from '../../../src/broker/state/channel.js';
import { Measures } from '../../../src/measures/measures.js';
import { MemoryStore } from '../../../src/store/memory/memory-store.js';
import { BrokenInvariant } from '../../../src/util/assert.js';
import { ManualClock } from '../../clock/manual-clock.js';
import { NO_LIMITS } from '../in-memory.js';

describe('the commit gate', () => {
  const clock = new ManualClock();
  const store = new MemoryStore({ clock, random: (size) => Buffer.alloc(size, 7) });
  let gate: CommitGate;
  let one: Channel;
  let other: Channel;

  beforeEach(() => {
    gate = new CommitGate(clock, new Measures().publishAck);
    [one, other] = ['one', 'other'].map(
      (name) => new Channel(store.createLog(name, NO_LIMITS), NO_LIMITS),
    ) as [Channel, Channel];
  });

  /** @returns what was shown, in order */
  function release(batch: number): string[] {
    const shown: string[] = [];
    gate.release(batch, {
      deliver: ({ name, visible }) => shown.push(`${name} ${visible}`),
      answer: () => {},
    });
    return shown;
  }

  it('shows the messages of a batch when that is durable, and none of a later one', () => {
    gate.hold(1).appended(one, 1);
    gate.hold(1).appended(other, 1);
    gate.hold(1).appended(one, 2);
    gate.hold(2).appended(one, 3);
    assert.deepEqual([one.visible, other.visible], [0, 0]);
    assert.deepEqual(release(1), ['one 2', 'other 1']);
    assert.deepEqual(release(1), []);
    assert.deepEqual(release(2), ['one 3']);
  });

  it('refuses what would show a message twice, or out of turn', () => {
    gate.hold(2).appended(one, 2);
    assert.throws(() => gate.hold(1), BrokenInvariant);
    gate.hold(3).appended(one, 2);
    assert.throws(() => release(3), BrokenInvariant);
  });
});
