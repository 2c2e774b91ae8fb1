import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FairQueue } from '../../src/util/fair-queue.js';

describe('a queue of long work', () => {
  it('gives each owner a turn, whoever has asked for much before', async () => {
    const queue = new FairQueue(100);
    const done: string[] = [];
    const ask = (owner: object, name: string): Promise<number> =>
      queue.run(owner, async () => done.push(name));
    const greedy = {};
    const asked = Array.from({ length: 5 }, (_, i) => ask(greedy, `greedy ${i}`));
    asked.push(ask({}, 'a'), ask({}, 'b'));
    await Promise.all(asked);
    assert.deepEqual(done, ['greedy 0', 'a', 'b', 'greedy 1', 'greedy 2', 'greedy 3', 'greedy 4']);
  });

  it('does one piece at a time, also of those that are added meanwhile', async () => {
    const queue = new FairQueue(100);
    let atOnce = 0;
    let most = 0;
    const piece = async (): Promise<void> => {
      most = Math.max(most, ++atOnce);
      await new Promise((resolve) => setImmediate(resolve));
      atOnce--;
    };
    const later: Promise<void>[] = [];
    const first = queue.run({}, async () => {
      for (let i = 0; i < 10; i++) later.push(queue.run({}, piece));
      await piece();
    });
    await first;
    await Promise.all(later);
    assert.equal(most, 1);
    assert.equal(queue.waiting, 0);
  });

  it('takes no more in beyond its limit, but the first piece of an owner', async () => {
    const queue = new FairQueue(2);
    const [owner, other] = [{}, {}];
    assert.ok(queue.hasRoom(owner));
    const asked = [queue.run(owner, async () => {}), queue.run(owner, async () => {})];
    assert.equal(queue.waiting, 2);
    assert.equal(queue.hasRoom(owner), false);
    assert.equal(queue.hasRoom(other), true);
    await Promise.all(asked);
    assert.ok(queue.hasRoom(owner));
  });

  it('goes on after a piece that fails, which fails for its owner alone', async () => {
    const queue = new FairQueue(100);
    const failed = queue.run({}, () => Promise.reject(new Error('it fails')));
    const other = queue.run({}, async () => 7);
    await assert.rejects(failed, /it fails/);
    assert.equal(await other, 7);
  });
});
