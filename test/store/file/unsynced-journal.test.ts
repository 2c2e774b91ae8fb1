import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StoreFs } from '../../../src/files/fs.js';
import { LeasedTerm, readStore, verify } from '../leased-store.js';
import { SimFs } from '../sim-fs.js';

/** A file system on which a write returns before it is durable: what a broker finds that reads behind one that was killed in the middle of a write. */
function behind(real: SimFs): StoreFs {
  const open: StoreFs['open'] = (path, mode) => real.open(path, mode === 'durable' ? 'write' : mode);
  return new Proxy(real, {
    get: (target, name) => {
      if (name === 'open') return open;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

describe('a batch that a broker was killed behind', () => {
  it('is made durable by the term that accepts it: a power cut after that leaves a store that has it', async () => {
    const fs = new SimFs();
    const first = await LeasedTerm.begin(fs, { fs: behind(fs) });
    await first.publish('orders', ['one', 'two']);
    const second = await LeasedTerm.begin(fs);
    await second.publish('orders', ['three']);
    const after = fs.restarted('synced');
    assert.deepEqual((await verify(after)).damages, []);
    assert.deepEqual(await readStore(after, 'orders'), ['one', 'two', 'three']);
    await first.store.close().catch(() => {});
    await second.end();
  });
});
