import assert from 'node:assert/strict';
import fs from 'node:fs';
import { cp, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { nodeFs } from '../../src/files/fs.js';
import { Lease } from '../../src/lease/lease.js';
import { waitFor, within } from '../harness/wait.js';
import { copyStore, groupWorld } from './group-world.js';

describe('a member of a group that is on another store', { concurrency: 3 }, () => {
  it('is not taken in by a group whose store is another one, and says so by name', async (t) => {
    const { dir, start, settled } = await groupWorld(t);
    await start('a');
    await settled(0);
    const other = join(dir, 'forgotten');
    await assert.rejects(start('b', { dir: other }), (error: Error) => {
      assert.match(error.message, /points at another store than its group/);
      assert.match(error.message, /forgotten here \(node b\) holds no store/);
      assert.match(error.message, /at node a holds store \w{22}\. Is the shared volume mounted/);
      return true;
    });
    await assert.rejects(readdir(other), { code: 'ENOENT' });
  });

  it('ends, and takes nothing, if it looks at a copy of the store', async (t) => {
    const { dir, start, settled } = await groupWorld(t);
    const first = await start('first');
    await settled(0);
    await first.broker.stop();
    const other = join(dir, 'restored');
    await cp(join(dir, 'store'), other, { recursive: true });
    await start('a');
    const { epoch } = await settled(0);
    // In its own store the lease is free.
    const member = await start('b', { dir: other });
    const { exitCode, error } = await member.broker.stopped;
    assert.equal(exitCode, 1);
    assert.match(
      error?.message ?? '',
      /does not see what its group writes.*Is .*restored a copy or a restored backup/,
    );
    assert.equal(
      member.log.all.some((line) => line.includes('taking over')),
      false,
    );
    assert.equal((await settled(0)).epoch, epoch);
  });

  it('does not go on with an old copy that has replaced the store, not even if it was active', async (t) => {
    const { dir, start, settled, client } = await groupWorld(t);
    const path = join(dir, 'store');
    const member = await start('a');
    await settled(0);
    const publisher = await client('p');
    await publisher.publish('foo', 'old');
    await copyStore(path, `${path}-copy`);
    await publisher.publish('foo', 'new');
    publisher.drop();
    const { counter } = await new Lease(nodeFs, path).read();
    await waitFor(
      async () => (await new Lease(nodeFs, path).read()).counter > counter,
      'the lease is renewed after the copy',
    );
    await rename(path, `${path}-real`);
    await rename(`${path}-copy`, path);
    const { exitCode, error } = await member.broker.stopped;
    assert.equal(exitCode, 1);
    assert.match(error?.message ?? '', /The store of group "g" has gone back: .* replaced by a copy/);
    const took = member.log.all.filter((line) => line.includes('taking over'));
    assert.equal(took.length, 1, 'it took the lease once, and never of the copy');
  });

  it('ends, active or not, when a copy that is as new as the store replaces it', async (t) => {
    const { dir, members, start, settled, client } = await groupWorld(t);
    const path = join(dir, 'store');
    await start('a', { 'ft-lease': '2s' });
    await settled(0);
    await start('b', { 'ft-lease': '2s' });
    await settled(1);
    const publisher = await client('p');
    await publisher.publish('foo', 'old');
    const lease = (of: string): string => fs.readdirSync(join(of, 'lease')).join();
    await copyStore(path, `${path}-copy`);
    fs.renameSync(path, `${path}-real`);
    fs.renameSync(`${path}-copy`, path);
    assert.equal(lease(path), lease(`${path}-real`));
    for (const { broker, log } of members) {
      const { exitCode, error } = await within(broker.stopped, 'it ends');
      assert.equal(exitCode, 1);
      assert.match(
        error?.message ?? '',
        /The store of group "g" has gone back: .* replaced by a copy .* while members were running/,
      );
      assert.deepEqual(log.matching(/^taking over in epoch 2/), []);
    }
    // Whoever looks at the copy finds it as it was left.
    assert.match(lease(path), /^v1\.00000001\.\d+\.served-1-\d+\.group-\d+-g\.a@/);
    publisher.drop();
  });
});
