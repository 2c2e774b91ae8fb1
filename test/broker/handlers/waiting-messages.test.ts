import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { WaitingMessages } from '../../../src/broker/handlers/waiting-messages.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const MIB = 1024 * 1024;

describe('messages that wait', () => {
  it('leave no memory of a large one behind them', () => {
    const waiting = new WaitingMessages();
    collectGarbage();
    const before = process.memoryUsage().arrayBuffers;
    const add = (bytes: number): void => waiting.add(1, Buffer.alloc(bytes), 0, 1, 1, 2, 2, bytes);
    const sizes = [100, 60 * MIB, 100, 60 * MIB];
    for (const bytes of sizes) add(bytes);
    const heard: number[] = [];
    while (!waiting.isEmpty) {
      waiting.hand((_sid, _buffer, start, _to, _reply, _replyEnd, _payload, end) => heard.push(end - start));
      waiting.drop();
    }
    assert.deepEqual(heard, sizes);
    assert.equal(waiting.bytes, 0);
    // `copyBytes` remembers what it copied from last.
    add(100);
    // What the first one finds, the second one frees.
    collectGarbage();
    collectGarbage();
    const heldMib = (process.memoryUsage().arrayBuffers - before) / MIB;
    assert.ok(heldMib < 10, `${heldMib} MiB`);
  });
});
