import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { connect } from 'nats';
import { askStatus } from '../../src/group/report/ask-status.js';
import type { MemberStatus } from '../../src/group/report/member-status.js';
import { connect as connectStan, type StanConnection } from '../../src/index.js';
import { InProcess } from '../harness/in-process.js';
import { waitFor } from '../harness/wait.js';
import { NatsProcess } from '../nats/nats-process.js';

/** So many of another group must change nothing: the first of them did, once. */
const HEARTBEATS = 8;

/** How many messages have no proof, by a member's reasons. */
function ignored(reasons: readonly string[]): number {
  return Number(
    /(\d+) messages on \S+ had no valid proof of this store since the start/.exec(reasons.join())?.[1] ?? 0,
  );
}

describe('two groups of one name, on two stores', () => {
  it('both go on when their NATS servers become joined, with all members, and say what is wrong', async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'stanchion-joined-'));
    const config = 'cluster { name: n, listen: "127.0.0.1:-1" }';
    const [one, other] = await Promise.all([NatsProcess.start({ config }), NatsProcess.start({ config })]);
    const servers = [one, other];
    const members: InProcess[] = [];
    const clients: StanConnection[] = [];
    t.after(async () => {
      await Promise.all(clients.map((client) => client.close()));
      await Promise.all(members.map(({ broker }) => broker.stop()));
      await Promise.all(servers.map((server) => server.stop()));
      await rm(dir, { recursive: true });
    });
    const statuses = async (server: NatsProcess): Promise<MemberStatus[]> => {
      const nc = await connect({ servers: server.url });
      try {
        return await askStatus(nc, 'c', 'g');
      } finally {
        await nc.close();
      }
    };
    const start = async (node: string, server: NatsProcess, store: string): Promise<void> => {
      const member = await InProcess.start({
        ...{ 'cluster-id': 'c', 'ft-group': 'g', store: 'file', 'ft-lease': '1s', 'node-name': node },
        ...{ 'nats-server': server.url, dir: join(dir, store) },
      });
      members.push(member);
      await member.broker.ready;
    };
    // The older one's standby is younger than the other's active.
    await start('older-1', one, 'older');
    await start('younger-1', other, 'younger');
    await Promise.all([start('older-2', one, 'older'), start('younger-2', other, 'younger')]);
    let found: MemberStatus[] = [];
    const roles = (): string[] => found.map(({ node, role }) => `${node.replace(/-.*/, '')} ${role}`).sort();
    // Before they are joined: a member that sees no store has no proof yet, and makes none where it hears of another group's.
    for (const [server, group] of [
      [one, 'older'],
      [other, 'younger'],
    ] as const) {
      await waitFor(
        async () => {
          found = await statuses(server);
          const isComplete = isDeepStrictEqual(roles(), [`${group} active`, `${group} standby`]);
          return isComplete && found.every(({ needsProof }) => needsProof);
        },
        () => `the ${group} group has its store: ${roles().join()}`,
      );
    }
    servers.push(await NatsProcess.join('n', [one, other]));
    let ended = 0;
    for (const { broker } of members) void broker.stopped.then(() => ended++);
    for (const member of members) {
      await waitFor(async () => {
        assert.equal(ended, 0, 'none has ended');
        return ignored((await member.health()).reasons) >= HEARTBEATS;
      }, 'each member hears those of the other group, and says so');
    }
    assert.equal(ended, 0, 'none has ended');
    // A machine that stands still for a lease makes a takeover: who is active is not promised.
    await waitFor(
      async () => {
        found = await statuses(one);
        return isDeepStrictEqual(roles(), [
          'older active',
          'older standby',
          'younger active',
          'younger standby',
        ]);
      },
      () => `each group has all of its members: ${roles().join()}`,
    );
    for (const member of members) {
      const [said] = member.log.matching(/had no valid proof of this store, and changed nothing/);
      assert.match(
        said ?? '',
        /another group of the same names.*is on these NATS servers: give that group another --cluster-id/,
      );
      assert.deepEqual(member.log.matching(/points at another store/), []);
      await waitFor(async () => (await member.health()).healthz === 200, 'it is healthy all the same');
    }
    // A publish that a takeover loses is sent again.
    const client = await connectStan({ servers: one.url, clusterId: 'c', clientId: 'p' });
    clients.push(client);
    await client.publish('foo', 'x');
  });
});
