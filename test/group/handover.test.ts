import assert from 'node:assert/strict';
import fs from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { decodeGroupMessage } from '../../src/group/talk/group-messages.js';
import { groupSubjects } from '../../src/group/talk/group-subjects.js';
import type { TakeoverTimeline } from '../../src/group/talk/takeover-timeline.js';
import { askToHandOver } from '../harness/hand-over.js';
import { holdsFor, waitFor, within } from '../harness/wait.js';
import { FakeMember } from './fake-member.js';
import { groupWorld } from './group-world.js';

// Each test has a nats-server and a store of its own: some wait side by side.
describe('a handover in a group of brokers', { concurrency: 3 }, () => {
  it('makes a timeline of each takeover, known to every member', async (t) => {
    const { start, statuses, settled, client, handOver } = await groupWorld(t);
    const stories = async (): Promise<(TakeoverTimeline | null)[][]> =>
      (await statuses()).map(({ takeoverHistory }) => takeoverHistory.map(({ story }) => story));
    await start('a');
    const first = await settled(0);
    await start('b');
    await settled(1);
    const publisher = await client('p');
    for (let i = 0; i < 10; i++) await publisher.publish('foo', `${i}`);
    await waitFor(async () => (await stories())[1]?.length === 1, 'the standby knows of the first');
    await handOver();
    await waitFor(async () => (await settled(1)).node === 'b', 'the other is active');
    let known: (TakeoverTimeline | null)[][] = [];
    await waitFor(
      async () => {
        known = await stories();
        return known.length === 2 && known.every((both) => both.length === 2 && !both.includes(null));
      },
      () => `both know of both: ${JSON.stringify(known)}`,
    );
    for (const [opened, handedOver] of known) {
      assert.equal(opened!.reasonKind, 'first');
      assert.equal(opened!.node, first.node);
      assert.deepEqual([opened!.from, opened!.outageMs, opened!.detectionMs], [null, null, null]);
      assert.equal(handedOver!.reasonKind, 'handover');
      assert.deepEqual([handedOver!.from, handedOver!.node, handedOver!.epoch], ['a', 'b', 2]);
      const { outageMs, detectionMs, tookMs, recoveryMs, parts, found } = handedOver!;
      assert.ok(Math.abs(outageMs! - detectionMs! - tookMs) < 0.01, 'the outage is detection and takeover');
      assert.ok(recoveryMs < tookMs);
      const sum = Object.values(parts).reduce((total, part) => total + part, 0);
      assert.ok(Math.abs(sum - tookMs) < 5, `${sum} ms of parts in ${tookMs} ms`);
      assert.deepEqual([found.messages, found.channels, found.clients], [10, 1, 1]);
    }
  });

  it('hands over on request, and clients go on', async (t) => {
    const { start, settled, client, handOver } = await groupWorld(t);
    await Promise.all([start('a'), start('b')]);
    const before = await settled(1);
    const publisher = await client('p');
    const received: string[] = [];
    const subscriber = await client('s');
    await subscriber.subscribe('foo', {
      durableName: 'd',
      all: true,
      onMessage: ({ data }) => received.push(data),
    });
    const acked: Promise<unknown>[] = [];
    for (let i = 0; i < 100; i++) acked.push(publisher.publish('foo', `before ${i}`));
    assert.deepEqual(await handOver(), { ok: true, epoch: before.epoch });
    for (let i = 0; i < 100; i++) acked.push(publisher.publish('foo', `after ${i}`));
    // Nobody tries again here: what was said during the handover was heard all the same.
    await Promise.all(acked);
    let now = before;
    await waitFor(async () => {
      now = await settled(1);
      return now.epoch > before.epoch;
    }, 'another one is active');
    assert.equal(now.epoch, before.epoch + 1);
    assert.notEqual(now.member, before.member);
    await waitFor(
      () => new Set(received).size === 200,
      () => `all arrive: ${new Set(received).size}`,
    );
    assert.deepEqual([...new Set(received)].slice(0, 100), range('before'));
    assert.deepEqual([...new Set(received)].slice(100), range('after'));
  });

  it('leaves only when all standbys listen, since any of them may be next', async (t) => {
    const { nc, dir, start, settled, handOver } = await groupWorld(t);
    // Standbys have 0.4 leases to answer: long enough for one that is slow, on any machine.
    const lease = { 'ft-lease': '10s' };
    await Promise.all([start('a', lease), start('b', lease)]);
    const { epoch, store } = await settled(1);
    const slow = await FakeMember.of(nc, 'c', 'g', join(dir, 'store'), 'c@elsewhere@1@1');
    const said: string[] = [];
    nc.subscribe(groupSubjects('c', 'g').talk, {
      callback: (_, { data }) => {
        const message = decodeGroupMessage(data)!;
        if (message.kind === 'released') said.push('released');
        if (message.kind === 'ready') said.push(`${message.member.split('@')[0]} is ready`);
      },
    });
    await waitFor(async () => {
      slow.beat({ role: 'standby', epoch, storeId: store.storeId });
      return (await settled(1)).peers.some(({ member }) => member === slow.holder);
    }, 'the active knows of both standbys');
    await handOver();
    await waitFor(() => said.length > 0, 'the first standby listens');
    await holdsFor(
      200,
      () => !said.includes('released'),
      () => `the active waits for the other one: ${said}`,
    );
    slow.say({ kind: 'ready', member: slow.holder, epoch });
    await waitFor(() => said.includes('released'), 'it leaves');
    assert.match(said.join(), /^[ab] is ready,c is ready,released$/);
    slow.close();
  });

  it('refuses to hand over when there is no standby', async (t) => {
    const { nc, dir, start, settled } = await groupWorld(t);
    await start('a');
    await settled(0);
    const group = { clusterId: 'c', group: 'g', dir: join(dir, 'store') };
    assert.deepEqual(await askToHandOver(nc, group), { ok: false, error: 'there is no standby' });
  });

  it('goes on when the active is stopped, and takes it back as a standby', async (t) => {
    const { start, settled, client } = await groupWorld(t);
    const first = await start('a');
    await settled(0);
    await start('b');
    await settled(1);
    const publisher = await client('p');
    await publisher.publish('foo', '1');
    await first.broker.stop();
    const active = await settled(0);
    assert.equal(active.node, 'b');
    await publisher.publish('foo', '2');
    await start('a');
    assert.equal((await settled(1)).node, 'b');
    const received: string[] = [];
    await (await client('s')).subscribe('foo', { all: true, onMessage: ({ data }) => received.push(data) });
    await waitFor(() => received.length === 2, 'both are there');
    assert.deepEqual(received, ['1', '2']);
  });

  it('works also where there can be no locks, and each member says so once', async (t) => {
    const { dir, members, start, settled, client, handOver } = await groupWorld(t);
    await mkdir(join(dir, 'store'));
    await writeFile(join(dir, 'store', 'lease.locks'), '');
    // Short: who has handed over does not take it back for three leases.
    const lease = { 'ft-lease': '300ms' };
    await Promise.all([start('a', lease), start('b', lease)]);
    await settled(1);
    // Each of them takes it twice.
    for (const epoch of [2, 3, 4]) {
      await handOver();
      await waitFor(
        async () => (await settled(1)).epoch >= epoch,
        () => `the other is active in epoch ${epoch}`,
      );
    }
    await (await client('p')).publish('foo', 'x');
    for (const { log } of members) {
      const said = log.all.filter((line) => /lease\.locks cannot be used/.test(line));
      assert.equal(said.length, 1, log.all.join('\n'));
    }
  });
});

// One after the other: each puts something in the place of a function of the whole process.
describe('a handover in a group of brokers, looked at closely', () => {
  it('hears what is published during a handover, however long the active takes to leave', async (t) => {
    const { start, settled, client, handOver } = await groupWorld(t);
    const members = await Promise.all([start('a'), start('b')]);
    const before = await settled(1);
    const publisher = await client('p');
    const { rename } = fs.promises;
    let leave: (() => void) | undefined;
    t.mock.method(fs.promises, 'rename', async (from: string, to: string) => {
      if (to.endsWith('.released') && leave === undefined) {
        await new Promise<void>((resolve) => {
          leave = resolve;
        });
      }
      return await rename(from, to);
    });
    await handOver();
    await waitFor(() => leave !== undefined, 'it leaves');
    const acked: Promise<unknown>[] = [];
    for (let i = 0; i < 20; i++) acked.push(publisher.publish('foo', `${i}`));
    // The standby looks at the lease several times: it is still held, and renewed a moment ago.
    const takeovers = (): string[] => members.flatMap(({ log }) => log.matching(/^taking over/));
    await holdsFor(
      300,
      () => takeovers().length === 1,
      () => `the standby waits: ${takeovers()}`,
    );
    leave?.();
    await within(Promise.all(acked), 'all are acknowledged');
    assert.equal((await settled(1)).epoch, before.epoch + 1);
  });

  it('stops when it is asked to while it takes the lease, and leaves it to others', async (t) => {
    const { start, settled } = await groupWorld(t);
    const { rename } = fs.promises;
    let stopping: Promise<void> | undefined;
    const take = t.mock.method(fs.promises, 'rename', async (from: string, to: string) => {
      if (/\/v1\.0*1\.0*\.served-0-0\.group-4000-g\.a@/.test(to)) stopping ??= first.broker.stop();
      return await rename(from, to);
    });
    const lease = { 'ft-lease': '4s' };
    const first = await start('a', lease);
    await waitFor(() => stopping !== undefined, 'it takes the lease');
    await within(stopping!, 'it stops');
    take.mock.restore();
    assert.equal((await first.broker.stopped).exitCode, 0);
    assert.ok(!first.log.all.includes('Streaming Server is ready'));
    const next = await start('b', lease);
    assert.equal((await settled(0)).node, 'b');
    assert.match(next.log.matching(/^taking over/).join(), /it was given back/, 'no lease had to end');
  });
});

function range(prefix: string): string[] {
  return Array.from({ length: 100 }, (_, i) => `${prefix} ${i}`);
}
