import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Flushes } from '../../src/client/flushes.js';

describe('a flush', () => {
  it('ends when all messages up to its own are answered, in any order, and no later one counts', async () => {
    const flushes = new Flushes();
    const over: string[] = [];
    // Of the messages up to 10, two are not answered yet; of those up to 12, four.
    void flushes.wait(10, 2).then(() => over.push('first'));
    void flushes.wait(12, 4).then(() => over.push('second'));
    flushes.count(11);
    flushes.count(10);
    await setImmediate();
    assert.deepEqual(over, []);
    flushes.count(9);
    await setImmediate();
    assert.deepEqual(over, ['first']);
    flushes.count(13);
    await setImmediate();
    assert.deepEqual(over, ['first']);
    flushes.count(12);
    await setImmediate();
    assert.deepEqual(over, ['first', 'second']);
    assert.equal(flushes.isEmpty, true);
  });
});
