import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { until } from '../file-support.js';
import { LeasedTerm, readStore, verify } from '../leased-store.js';
import { SimFs } from '../sim-fs.js';

describe('a checkpoint that a broker was killed behind', () => {
  it('is made durable by the term that begins from it: a power cut after that leaves a store that opens', async () => {
    const fs = new SimFs();
    const first = await LeasedTerm.begin(fs);
    await first.publish('orders', ['one', 'two']);
    await first.checkpoint();
    await first.publish('orders', ['three']);
    // Killed between the rename of the next one and the sync of its folder.
    let isKilled = false;
    fs.onOperation = (operation, path) => {
      if (isKilled || (operation === 'syncDirectory' && path.endsWith('/checkpoints'))) {
        isKilled = true;
        throw new Error('killed');
      }
    };
    first.store.upkeep.checkpoint();
    await until(() => isKilled, 'the checkpoint');
    await first.store.close().catch(() => {});
    fs.onOperation = () => {};
    const second = await LeasedTerm.begin(fs);
    await second.publish('orders', ['four']);
    const after = fs.restarted('synced');
    assert.deepEqual((await verify(after)).damages, []);
    assert.deepEqual(await readStore(after, 'orders'), ['one', 'two', 'three', 'four']);
    await second.end();
  });
});
