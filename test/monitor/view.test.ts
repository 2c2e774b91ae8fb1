import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { connect as connectNats, type Msg, type NatsConnection } from 'nats';
import { NO_CONFIG_FILE, resolveServeConfig } from '../../src/config/resolve.js';
import { groupView } from '../../src/dashboard/group-rows.js';
import { nodeFs } from '../../src/files/fs.js';
import { encodeStatus, type MemberStatus } from '../../src/group/report/member-status.js';
import { groupSubjects } from '../../src/group/talk/group-subjects.js';
import { connect } from '../../src/index.js';
import { silentLogger } from '../../src/log/logger.js';
import type { MonitoredNode } from '../../src/monitor/monitored-node.js';
import { type ChannelDetail, encodeView } from '../../src/monitor/view.js';
import type { RunningBroker } from '../../src/run/running-broker.js';
import { startBroker } from '../../src/run/start.js';
import { readIdentity } from '../../src/store/file/identity.js';
import { must } from '../../src/util/assert.js';
import { FakeMember } from '../group/fake-member.js';
import { NatsServer } from '../harness/nats-server.js';
import { waitFor } from '../harness/wait.js';

const SUBSCRIPTIONS = 300;
const MAX_PAYLOAD = 8_192;

describe('what the active answers a dashboard through NATS', () => {
  let folder: string;
  let nats: NatsServer;
  let nc: NatsConnection;
  let broker: RunningBroker;
  let asker: FakeMember;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'stanchion-view-'));
    nats = await NatsServer.start({ config: `max_payload: ${MAX_PAYLOAD}`, dir: folder });
    nc = await connectNats({ servers: nats.url });
    const flags = ['--cluster-id=c', '--ft-group=g', '--store=file', `--dir=${join(folder, 'store')}`];
    const argv = [...flags, `--nats-server=${nats.url}`, '--http-port=-1'];
    broker = await startBroker(
      resolveServeConfig(argv, {}, () => NO_CONFIG_FILE),
      { log: silentLogger },
    );
    await broker.ready;
    const store = join(folder, 'store');
    await waitFor(async () => (await readIdentity(nodeFs, store)) !== undefined, 'the store is made');
    asker = await FakeMember.of(nc, 'c', 'g', store, 'x@h@1@x');
  });
  after(async () => {
    asker?.close();
    await broker?.stop();
    await nc?.close();
    await nats?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Asks as a member does, until the active believes it: each has to hear the other first. Without the seal of the answer. */
  async function ask<T extends object>(request: object): Promise<T> {
    const { view } = groupSubjects('c', 'g');
    let answer: Msg | undefined;
    await waitFor(async () => {
      answer = await nc.request(view, asker.talk.ask(view, request), { timeout: 500 }).catch(() => undefined);
      return answer !== undefined;
    }, 'the active answers');
    const { mac, ...rest } = must(answer, 'it was waited for').json<T & { mac?: string }>();
    assert.ok(mac !== undefined, 'the answer is sealed');
    return rest as unknown as T;
  }

  it('is as much as the server carries, and says what is left out', async () => {
    const client = await connect({
      servers: nats.url,
      clusterId: 'c',
      clientId: 'x',
      connectTimeout: 10_000,
    });
    for (let i = 0; i < SUBSCRIPTIONS; i++)
      await client.subscribe('orders', { queue: `group-with-quite-a-long-name-${i}`, callback: () => {} });
    const detail = await ask<ChannelDetail>({ kind: 'channel', name: 'orders' });
    assert.ok(detail.subscriptions.length > 10 && detail.leftOut > 10);
    assert.equal(detail.subscriptions.length + detail.leftOut, SUBSCRIPTIONS);
    // It goes on.
    await client.publish('orders', 'x');
    await client.close();
  });

  it('is not more for a question that is none', async () => {
    nc.publish(groupSubjects('c', 'g').view, Buffer.from('{'), { reply: 'nowhere' });
    const unproved = nc.request(groupSubjects('c', 'g').view, '{"kind":"summary"}', { timeout: 300 });
    await assert.rejects(unproved, /TIMEOUT/, 'who is no member gets no answer');
    assert.deepEqual(await ask({ kind: 'channel', name: 'x'.repeat(3_000) }), {
      error: `there is no channel ${'x'.repeat(3_000)}`,
    });
    assert.ok('messagesIn' in (await ask<object>({ kind: 'summary' })));
  });

  it('is an error if not even one row has room', () => {
    const row = { name: 'n'.repeat(2_000) } as never;
    const small = encodeView({ total: 1, offset: 0, rows: [row, row] }, 1_000);
    assert.deepEqual(JSON.parse(Buffer.from(small).toString()), { total: 1, offset: 0, rows: [] });
    const none = encodeView({ error: 'e'.repeat(2_000) }, 1_000);
    assert.match(Buffer.from(none).toString(), /too large for the NATS server/);
  });
});

describe('the status of a member', () => {
  it('leaves out the oldest takeovers where it has to', () => {
    const history = Array.from({ length: 20 }, (_, epoch) => ({ epoch }));
    const status = { node: 'n', takeoverHistory: history, peers: [] } as unknown as MemberStatus;
    const short = JSON.parse(Buffer.from(encodeStatus(status, 100)).toString()) as MemberStatus;
    assert.equal(short.node, 'n');
    assert.ok(short.takeoverHistory.length > 0 && short.takeoverHistory.length < 20);
    assert.equal(short.takeoverHistory.at(-1)?.epoch, 19);
  });
});

describe('the other members in a status', () => {
  it('are left out where there is no room, those that were heard longest ago first', () => {
    const peers = Array.from({ length: 32 }, (_, i) => ({ node: `n${i}`, silentMs: i }));
    const status = { node: 'n', takeoverHistory: [{ epoch: 1 }], peers } as unknown as MemberStatus;
    const short = JSON.parse(Buffer.from(encodeStatus(status, 200)).toString()) as MemberStatus;
    assert.deepEqual(short.takeoverHistory, []);
    assert.ok(short.peers.length > 0 && short.peers.length < 32);
    assert.equal(short.peers[0]?.node, 'n0');
  });
});

describe('a member on the dashboard', () => {
  /** As the page shows it. */
  function problemOf(status: Partial<MemberStatus>): string | null | undefined {
    const node = { name: 'a', clusterId: 'c', health: { isReady: true, reasons: [] }, group: { name: 'g' } };
    const member = { node: 'a', store: { dir: '/d', storeId: 's' }, ...status };
    return groupView(node as unknown as MonitoredNode, [member as MemberStatus]).members[0]?.problem;
  }

  it('shows a dispute of the lease, unless by something worse', () => {
    const rivals = [{ member: 'b@h@7@x', node: 'b', host: 'h', pid: 7 }];
    const dispute = { sinceWallMs: 1_700_000_000_000, rivals, rounds: 2, epoch: 5, waitMs: 6_000 };
    const said =
      'the lease has been in dispute since 2023-11-14T22:13:20.000Z with b (host h, process 7), not heard over NATS. Attach all members';
    assert.ok(problemOf({ trouble: null, dispute })?.startsWith(said));
    assert.equal(problemOf({ trouble: 'no connection to NATS', dispute }), 'no connection to NATS');
    assert.equal(problemOf({ trouble: null, dispute: null }), null);
    // Of another version.
    assert.equal(problemOf({ trouble: null }), null);
  });

  it('shows what is wrong with the member that is asked, before that member reports it over NATS', () => {
    const own = { member: 'm', node: 'a', store: { dir: '/d', storeId: 's' }, trouble: null, peers: [] };
    const health = { isHealthy: false, isReady: false, reasons: ['the disk is full'] };
    const group = { name: 'g', ownStatus: () => own };
    const node = { name: 'a', clusterId: 'c', health, group } as unknown as MonitoredNode;
    assert.equal(groupView(node, []).members[0]?.problem, 'the disk is full');
  });
});
