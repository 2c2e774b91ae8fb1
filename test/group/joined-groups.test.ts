import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { connect } from 'nats';
import { askStatus } from '../../src/group/report/ask-status.js';
import type { MemberStatus } from '../../src/group/report/member-status.js';
import { freePort } from '../harness/free-ports.js';
import { InProcess } from '../harness/in-process.js';
import { StanClient } from '../harness/stan-client.js';
import { holdsFor, waitFor } from '../harness/wait.js';
import { NatsProcess } from '../nats/nats-process.js';

describe('two groups of one name, on two stores', () => {
  it('both go on when their NATS servers become joined, with all members, and say what is wrong', async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'stanchion-joined-'));
    const port = await freePort();
    const config = (routes: string): string =>
      `cluster { name: n, listen: "127.0.0.1:${port}", routes: [${routes}] }`;
    const one = await NatsProcess.start({ config: 'cluster { name: n, listen: "127.0.0.1:-1" }' });
    const other = await NatsProcess.start({ config: config('') });
    const members: InProcess[] = [];
    const clients: StanClient[] = [];
    t.after(async () => {
      for (const client of clients) client.drop();
      await Promise.all(members.map(({ broker }) => broker.stop()));
      await Promise.all([one.stop(), other.stop()]);
      await rm(dir, { recursive: true });
    });
    const statuses = async (): Promise<MemberStatus[]> => {
      const nc = await connect({ servers: one.url });
      try {
        return await askStatus(nc, 'c', 'g');
      } finally {
        await nc.close();
      }
    };
    const start = async (node: string, server: NatsProcess, store: string): Promise<void> => {
      const member = await InProcess.start({
        ...{ 'cluster-id': 'c', 'ft-group': 'g', store: 'file', 'ft-lease': '2s', 'node-name': node },
        ...{ 'nats-server': server.url, dir: join(dir, store) },
      });
      members.push(member);
      await member.broker.ready;
    };
    // The older one's standby is younger than the other's active.
    await start('older-1', one, 'older');
    await start('younger-1', other, 'younger');
    await start('older-2', one, 'older');
    await start('younger-2', other, 'younger');
    await other.reload(config(`"nats://127.0.0.1:${one.clusterPort}"`));
    await waitFor(async () => (await statuses()).length === 4, 'they are joined');
    const said = (member: InProcess): string[] =>
      member.log.matching(/had no valid proof of this store, and changed nothing/);
    await waitFor(() => members.every((member) => said(member).length > 0), 'each member says so');
    let ended = 0;
    for (const { broker } of members) void broker.stopped.then(() => ended++);
    await holdsFor(3_000, () => ended === 0, 'none has ended');
    const found = (await statuses()).map(({ node, role, epoch }) => [node, role, epoch]);
    assert.deepEqual(found, [
      ['older-1', 'active', 1],
      ['older-2', 'standby', 1],
      ['younger-1', 'active', 1],
      ['younger-2', 'standby', 1],
    ]);
    for (const member of members) {
      assert.match(
        said(member).join(),
        /another group of the same names.*is on these NATS servers: give that group another --cluster-id/,
      );
      assert.deepEqual(member.log.matching(/points at another store/), []);
      const { healthz, reasons } = await member.health();
      assert.equal(healthz, 200);
      assert.match(reasons.join(), /had no valid proof of this store since the start/);
    }
    const client = await StanClient.connect(one.url, 'c', 'p');
    clients.push(client);
    await client.publish('foo', 'x');
  });
});
