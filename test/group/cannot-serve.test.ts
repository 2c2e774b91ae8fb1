import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { connect } from 'nats';
import { askStatus } from '../../src/group/report/ask-status.js';
import type { MemberStatus } from '../../src/group/report/member-status.js';
import { BATCH_HEADER_BYTES } from '../../src/store/format/batch-format.js';
import { FILE_HEADER_BYTES } from '../../src/store/format/file-header.js';
import { InProcess } from '../harness/in-process.js';
import { StanClient } from '../harness/stan-client.js';
import { holdsFor, waitFor, within } from '../harness/wait.js';
import { NatsProcess } from '../nats/nats-process.js';

const MAY_ALL = '{ publish: ">", subscribe: ">" }';
const LEASE_MS = 300;

/** Each node has a user of its own. */
function withPermissions(users: Readonly<Record<string, string>>): string {
  const all = { client: MAY_ALL, ...users };
  const lines = Object.entries(all).map(
    ([user, may]) => `{ user: ${user}, password: p, permissions: ${may} }`,
  );
  return `authorization { users = [ ${lines.join(', ')} ] }\n`;
}

describe('A member of a group through which clients cannot be served', () => {
  let dir: string;
  const members: InProcess[] = [];
  const servers: NatsProcess[] = [];
  const clients: StanClient[] = [];

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'stanchion-cannot-serve-'));
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.drop();
    await Promise.all(members.splice(0).map((member) => member.stop().catch(() => {})));
    for (const server of servers.splice(0)) await server.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  async function natsServer(config = ''): Promise<NatsProcess> {
    const server = await NatsProcess.start({ config });
    servers.push(server);
    return server;
  }

  async function start(
    server: NatsProcess,
    node: string,
    flags: Record<string, string> = {},
  ): Promise<InProcess> {
    const member = await InProcess.start({
      'nats-server': server.url,
      'node-name': node,
      'ft-group': 'g',
      'ft-lease': `${LEASE_MS}ms`,
      store: 'file',
      dir: join(dir, 'store'),
      ...flags,
    });
    members.push(member);
    return member;
  }

  /** As its own user. */
  function startAs(server: NatsProcess, node: string): Promise<InProcess> {
    return start(server, node, { user: node, pass: 'p' });
  }

  async function status(
    server: NatsProcess,
    login: { user?: string; pass?: string } = {},
  ): Promise<MemberStatus[]> {
    const nc = await connect({ servers: server.url, ...login });
    try {
      return await askStatus(nc, 'c', 'g');
    } finally {
      await nc.close();
    }
  }

  async function activeIs(server: NatsProcess, node: string, login = {}): Promise<MemberStatus[]> {
    let found: MemberStatus[] = [];
    await waitFor(
      async () => {
        found = await status(server, login);
        return (
          found
            .filter(({ role }) => role === 'active')
            .map((member) => member.node)
            .join() === node
        );
      },
      () =>
        `${node} is active: ${JSON.stringify(found.map(({ node, role, trouble }) => ({ node, role, trouble })))}`,
    );
    return found;
  }

  async function isServed(server: NatsProcess, login = ''): Promise<void> {
    const url = server.url.replace('nats://', `nats://${login}`);
    const client = await StanClient.connect(url, 'c', `client-${clients.length}`);
    clients.push(client);
    await within(client.publish('foo', 'x'), 'a publish is acknowledged');
  }

  it('hands over to one that may, says why, and takes part again when it may', async () => {
    const narrow = '{ publish: ">", subscribe: { allow: ">", deny: "_STAN.pub.>" } }';
    const server = await natsServer(withPermissions({ a: MAY_ALL, b: MAY_ALL }));
    const login = { user: 'client', pass: 'p' };
    const a = await startAs(server, 'a');
    await activeIs(server, 'a', login);
    const b = await startAs(server, 'b');
    await b.isWell();
    await server.reload(withPermissions({ a: narrow, b: MAY_ALL }));
    const found = await activeIs(server, 'b', login);
    await isServed(server, 'client:p@');
    const { healthz, readyz } = await a.complains(/does not let this broker subscribe to "_STAN\.pub\.c\.>"/);
    assert.deepEqual([healthz, readyz], [503, 503]);
    assert.match(found.find(({ node }) => node === 'a')?.trouble ?? '', /does not let this broker subscribe/);
    await b.isWell();
    await server.reload(withPermissions({ a: MAY_ALL, b: MAY_ALL }));
    await a.isWell();
    await b.stop();
    await activeIs(server, 'a', login);
    await isServed(server, 'client:p@');
  });

  it('does not take over while another can, from its start on', async () => {
    const deaf = '{ publish: ">", subscribe: ["_INBOX.>", "_STANCHION.>"] }';
    const server = await natsServer(withPermissions({ a: deaf, b: MAY_ALL }));
    const login = { user: 'client', pass: 'p' };
    const a = await startAs(server, 'a');
    await a.complains(/does not let this broker subscribe/);
    await startAs(server, 'b');
    const found = await activeIs(server, 'b', login);
    assert.equal(found.find(({ node }) => node === 'b')?.epoch, 1, 'the other one has never had the group');
  });

  it('keeps serving, and says what is missing, where members may not talk to each other', async () => {
    const mute =
      '{ publish: { allow: ">", deny: "_STANCHION.>" }, subscribe: { allow: ">", deny: "_STANCHION.>" } }';
    const server = await natsServer(withPermissions({ a: mute, b: mute }));
    const a = await startAs(server, 'a');
    const b = await startAs(server, 'b');
    await waitFor(() => a.log.matching(/Streaming Server is ready/).length === 1, 'a serves');
    for (const member of [a, b]) {
      const { readyz } = await member.complains(/Permit publish and subscribe on "_STANCHION\.group\.>"/);
      assert.equal(readyz, 200);
    }
    await isServed(server, 'client:p@');
    // It took the lease from itself every five leases.
    const problem = /two NATS clusters|term of epoch .* ends|does not carry messages/;
    const problems = (): string[] => [a, b].flatMap((member) => member.log.matching(problem));
    await holdsFor(
      LEASE_MS * 8,
      () => problems().length === 0,
      () => `no term ends: ${problems()}`,
    );
    assert.deepEqual(b.log.matching(/Streaming Server is ready/), []);
    await server.reload(withPermissions({ a: MAY_ALL, b: MAY_ALL }));
    await Promise.all([a.isWell(), b.isWell()]);
  });

  it('says so when no member can recover the store: health, readiness and status, on each', async () => {
    const server = await natsServer();
    // One term, though this machine may stand still: a client asks once, and a checkpoint of another term would need no damaged journal.
    const first = await start(server, 'a', { 'ft-lease': '2s' });
    await activeIs(server, 'a');
    await isServed(server);
    await first.stop();
    await damageJournals(join(dir, 'store', 'journal'));
    const a = await start(server, 'a');
    const b = await start(server, 'b');
    for (const member of [a, b]) {
      const { healthz, readyz } = await member.complains(/damaged|is not whole/i);
      assert.deepEqual([healthz, readyz], [503, 503]);
    }
    // A look at the store every few milliseconds finds nothing wrong with it.
    const until = performance.now() + LEASE_MS * 2;
    while (performance.now() < until) {
      for (const { role, node, trouble } of await status(server)) {
        // After a pause of this process, the look that it was in looks hung until it ends.
        assert.match(
          trouble ?? '',
          /damaged|is not whole|has not answered for/i,
          `${node} (${role}): ${trouble}`,
        );
      }
    }
  });

  it('does not start beside a broker without a group that serves its cluster id, nor that one beside it', async () => {
    const server = await natsServer();
    const lonely = { 'nats-server': server.url, 'node-name': 'lonely' };
    const alone = await InProcess.start(lonely);
    members.push(alone);
    await alone.isWell();
    await assert.rejects(
      start(server, 'a'),
      /Another streaming server, which does not have this store, answers for this cluster id: a broker or a Go server without a group/,
    );
    await alone.stop();
    await start(server, 'a');
    await activeIs(server, 'a');
    await assert.rejects(InProcess.start(lonely), /another streaming server answers for cluster id "c"/);
  });
});

/** Each journal file gets one flipped bit in a record, with a whole one behind it. */
async function damageJournals(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const file = await open(join(folder, name), 'r+');
    try {
      const byte = Buffer.alloc(1);
      const at = FILE_HEADER_BYTES + BATCH_HEADER_BYTES + 8;
      await file.read(byte, 0, 1, at);
      byte[0] = (byte[0] ?? 0) ^ 0x40;
      await file.write(byte, 0, 1, at);
    } finally {
      await file.close();
    }
  }
}
