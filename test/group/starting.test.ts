import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { nodeFs } from '../../src/files/fs.js';
import type { MemberStatus } from '../../src/group/report/member-status.js';
import { Lease } from '../../src/lease/lease.js';
import type { LeaseState } from '../../src/lease/lease-state.js';
import { holdsFor, waitFor } from '../harness/wait.js';
import { NatsProcess } from '../nats/nats-process.js';
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
    const { dir, start, statuses, settled } = await groupWorld(t);
    const first = await start('a');
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
    const said =
      /is held by node "a" \(host .*\), a member of group "g", epoch 1: this member of group "h" waits until that group has left\. If the group is being renamed/;
    assert.equal(renamed.log.matching(said).length, 1, 'it says whose lease it is');
    assert.match((await renamed.health()).reasons.join(), said);
    assert.equal((await renamed.health()).healthz, 200);
    const [status] = await statuses('h');
    assert.match(status?.warnings?.join() ?? '', said);
    // It takes over when the other group has left, and says nothing more.
    await first.broker.stop();
    assert.equal((await settled(0, 'h')).node, 'b');
    await renamed.isWell();
  });

  it('does not join a broker without a group, also one on other NATS servers, and such a broker no group', async (t) => {
    const { start, settled } = await groupWorld(t);
    const elsewhere = await NatsProcess.start();
    t.after(() => elsewhere.stop());
    const alone = await start('alone', { 'ft-group': '', 'nats-server': elsewhere.url });
    await assert.rejects(start('a'), {
      code: 'held',
      message:
        /is held by node "alone" \(host .*, pid \d+\), which is in no group, epoch 1\. Stop that broker first/,
    });
    await alone.broker.stop();
    await start('a');
    assert.equal((await settled(0)).node, 'a');
    await assert.rejects(start('alone', { 'ft-group': '' }), {
      code: 'held',
      message: /is held by node "a" \(host .*\), a member of group "g".* Stop that group first/,
    });
  });

  it('keeps out while a broker without a group has the store, says so, and goes on when that has left', async (t) => {
    const { dir, start, settled } = await groupWorld(t);
    const first = await start('a');
    await settled(0);
    const second = await start('b', { 'ft-lease': '500ms' });
    await settled(1);
    // As a broker would that has found the lease unused while all members stood still.
    const store = join(dir, 'store');
    const holder = 'alone@elsewhere@7@boot';
    const lease = new Lease(nodeFs, store);
    let state: LeaseState | 'lost' = 'lost';
    const term = { epoch: 5, holder, kind: 'alone', leaseMs: 60_000 } as const;
    while (state === 'lost') state = await lease.takeOver(await lease.readFresh('test'), term);
    const said =
      /is held by node "alone" \(host elsewhere, pid 7\), which is in no group, epoch 5: this member of group "g" keeps out/;
    for (const { log } of [first, second])
      await waitFor(() => log.matching(said).length === 1, 'each says whose lease it is');
    assert.match((await second.health()).reasons.join(), said);
    assert.equal((await second.health()).healthz, 503);
    // For longer than the lease of the second member. That of the other broker lasts, however slow this machine is.
    await holdsFor(1_200, async () => (await lease.read()).holder === holder, 'it keeps the lease');
    assert.notEqual(await lease.release(state), 'lost');
    assert.equal((await settled(1)).epoch, 6);
    await second.isWell();
  });
});
