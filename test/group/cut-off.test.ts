import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MemberStatus } from '../../src/group/report/member-status.js';
import { holdsFor, waitFor } from '../harness/wait.js';
import { NatsProcess } from '../nats/nats-process.js';
import { groupWorld } from './group-world.js';

describe('members of a group that are cut off from each other', { concurrency: 3 }, () => {
  it('replaces an active whose nats-server is gone', async (t) => {
    const { members, start, settled } = await groupWorld(t);
    const lonely = await NatsProcess.start();
    try {
      await start('a', { 'nats-server': lonely.url });
      await start('b');
      // They do not hear each other, but the store is one.
      const watching = (): boolean => members[1]!.log.all.includes('Standby: watching');
      await waitFor(watching, 'b watches');
      await lonely.stop();
      assert.equal((await settled(0)).node, 'b');
      assert.ok(
        members[0]!.log.all.some((line) => /the term of epoch 1 ends: no connection to NATS/.test(line)),
      );
      assert.equal(members[0]!.log.all.filter((line) => line === 'Standby: watching').length, 2);
    } finally {
      await lonely.stop();
    }
  });

  it('replaces an active that two of three members do not hear, though it renews and hears itself', async (t) => {
    const { members, start, settled } = await groupWorld(t);
    const lonely = await NatsProcess.start();
    try {
      const lease = { 'ft-lease': '300ms' };
      await start('a', { 'nats-server': lonely.url, ...lease });
      const said = (i: number, line: RegExp): string[] => members[i]!.log.matching(line);
      await waitFor(() => said(0, /Streaming Server is ready/).length > 0, 'a serves');
      await Promise.all([start('b', lease), start('c', lease)]);
      await settled(1);
      // On a machine that stands still for a lease, the lease may have ended before.
      const took = [1, 2].flatMap((i) => said(i, /^taking over/));
      assert.match(took.join('; '), /cut off: not heard|not renewed for/);
      // It does not take it back: one of two is no majority.
      await holdsFor(
        300 * 7,
        () => said(0, /^taking over .*cut off/).length === 0,
        () => `a does not take over again: ${members[0]!.log.all.join('; ')}`,
      );
    } finally {
      await lonely.stop();
    }
  });

  it('names in its status its rivals in a dispute over the lease, while it does what it can', async (t) => {
    const { members, start, statuses, settled } = await groupWorld(t);
    const lonely = await NatsProcess.start();
    try {
      const lease = { 'ft-lease': '300ms' };
      await start('a', lease);
      await settled(0);
      const there = { 'nats-server': lonely.url, ...lease };
      await Promise.all([start('b', lease), start('c', there), start('d', there)]);
      let found: MemberStatus[] = [];
      await waitFor(
        async () => {
          found = await statuses();
          return found.length === 2 && found.every(({ dispute }) => dispute !== null);
        },
        () => `both tell of it: ${JSON.stringify(found.map(({ dispute }) => dispute))}`,
        60_000,
      );
      for (const { dispute, trouble, pid, host } of found) {
        assert.equal(trouble, null);
        const { rivals, rounds, sinceWallMs } = dispute!;
        assert.ok(rounds >= 2 && rivals.length > 0);
        assert.ok(sinceWallMs <= Date.now() && sinceWallMs > Date.now() - 5 * 60_000, `${sinceWallMs}`);
        for (const rival of rivals) {
          assert.ok(['c', 'd'].includes(rival.node));
          assert.deepEqual([rival.pid, rival.host], [pid, host.replace(/[^A-Za-z0-9._-]/g, '-')]);
        }
      }
      const health = await fetch(`${members[0]!.broker.httpUrl}/healthz`);
      const { status, reasons } = (await health.json()) as { status: string; reasons: string[] };
      assert.deepEqual([health.status, status], [200, 'impaired']);
      assert.match(
        String(reasons),
        /the lease has been in dispute since .* with .*[cd] \(host .*Attach all members to one NATS cluster/,
      );
    } finally {
      await lonely.stop();
    }
  });
});
