import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { MemberStatus } from '../../src/group/report/member-status.js';
import { holdsFor, waitFor } from '../harness/wait.js';
import { copyStore, groupWorld } from './group-world.js';

// Each test has a nats-server and a store of its own: some wait side by side.
describe('a group of brokers on one store', { concurrency: 3 }, () => {
  it('has one that serves, and others that watch', async (t) => {
    const { start, statuses, settled, client } = await groupWorld(t);
    await start('a');
    await Promise.all([start('b'), start('c')]);
    const active = await settled(2);
    assert.equal(active.epoch, 1);
    let all: MemberStatus[] = [];
    await waitFor(
      async () => {
        all = await statuses();
        return all.length === 3;
      },
      () => `all answer: ${JSON.stringify(all)}`,
    );
    assert.deepEqual(
      all.map(({ node }) => node),
      ['a', 'b', 'c'],
    );
    assert.equal(new Set(all.map(({ store }) => store.storeId)).size, 1);
    assert.ok(active.leaseAgeMs !== null && active.leaseAgeMs < active.leaseMs);
    await (await client('p')).publish('foo', 'x');
  });

  it('starts on an empty store all at once', async (t) => {
    const { start, settled } = await groupWorld(t);
    await Promise.all([start('a'), start('b'), start('c')]);
    await settled(2);
  });

  it('shares a NATS server with another group', async (t) => {
    const { dir, start, settled, client } = await groupWorld(t);
    await Promise.all([
      start('a'),
      start('b'),
      start('x', { 'ft-group': 'h.1', 'cluster-id': 'other', dir: join(dir, 'other') }),
    ]);
    const one = await settled(1);
    const other = await settled(0, 'h.1', 'other');
    assert.notEqual(one.store.storeId, other.store.storeId);
    await (await client('p', 'c')).publish('foo', 'x');
    await (await client('p', 'other')).publish('foo', 'y');
  });

  it('does not serve a cluster id that a group of another name serves from another store', async (t) => {
    const { dir, start, settled } = await groupWorld(t);
    await start('a');
    await settled(0);
    const copy = join(dir, 'copy');
    await copyStore(join(dir, 'store'), copy);
    for (const other of [copy, join(dir, 'empty')])
      await assert.rejects(
        start('x', { 'ft-group': 'h', dir: other }),
        /Group "g" \(node a, .*store\) serves this cluster id already, and .* is not its store/,
      );
    // As in a rolling update that gives it another name.
    const renamed = await start('b', { 'ft-group': 'h' });
    await waitFor(() => renamed.log.all.includes('Standby: watching'), 'it watches');
    assert.equal((await settled(0)).node, 'a');
  });

  it('waits for a broker without a group to leave the store, and such a broker is refused while a member has it', async (t) => {
    const { start, settled } = await groupWorld(t);
    const alone = await start('alone', { 'ft-group': '' });
    const member = await start('a');
    await waitFor(() => member.log.all.includes('Standby: watching'), 'it watches');
    // For longer than the lease.
    let hasStopped = false;
    void alone.broker.stopped.then(() => {
      hasStopped = true;
    });
    await holdsFor(1_500, () => !hasStopped, 'the broker alone goes on');
    await alone.broker.stop();
    assert.equal((await settled(0)).node, 'a');
    await assert.rejects(start('alone', { 'ft-group': '' }), /is held by node "a"/);
  });
});
