import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { cp, mkdir, mkdtemp, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type NatsConnection } from 'nats';
import { NO_CONFIG_FILE, resolveServeConfig } from '../../src/config/resolve.js';
import { nodeFs } from '../../src/files/fs.js';
import type { MemberStatus } from '../../src/group/report/member-status.js';
import { decodeGroupMessage, encodeGroupMessage } from '../../src/group/talk/group-messages.js';
import { groupSubjects } from '../../src/group/talk/group-subjects.js';
import type { TakeoverTimeline } from '../../src/group/talk/takeover-timeline.js';
import { Lease } from '../../src/lease/lease.js';
import type { LogFields, Logger } from '../../src/log/logger.js';
import type { RunningBroker } from '../../src/run/running-broker.js';
import { startBroker } from '../../src/run/start.js';
import { StanClient } from '../harness/stan-client.js';
import { waitFor, within } from '../harness/wait.js';
import { NatsProcess } from '../nats/nats-process.js';

/** Keeps what a member says. */
class Story implements Logger {
  readonly lines: string[] = [];
  /** Where its HTTP listens. */
  url: string | undefined;
  debug = () => {};
  info = ({ url }: LogFields, message: string) => {
    if (typeof url === 'string') this.url = url;
    this.lines.push(message);
  };
  warn = this.info;
  error = this.info;
  child = () => this;
}

interface Started {
  broker: RunningBroker;
  story: Story;
}

describe('a group of brokers on one store', () => {
  let nats: NatsProcess;
  let nc: NatsConnection;
  let dir: string;
  const members: Started[] = [];
  const clients: StanClient[] = [];

  before(async () => {
    nats = await NatsProcess.start();
    nc = await connect({ servers: nats.url });
  });
  after(async () => {
    await nc.close();
    await nats.stop();
  });
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'stanchion-group-'));
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.close().catch(() => {});
    await Promise.all(members.splice(0).map(({ broker }) => broker.stop()));
    await rm(dir, { recursive: true });
  });

  async function start(node: string, flags: Record<string, string> = {}): Promise<Started> {
    const all = {
      'cluster-id': 'c',
      'ft-group': 'g',
      store: 'file',
      dir: join(dir, 'store'),
      'nats-server': nats.url,
      'node-name': node,
      ...flags,
    };
    const argv = Object.entries(all).flatMap(([name, value]) => (value === '' ? [] : [`--${name}`, value]));
    const story = new Story();
    const broker = await startBroker(
      resolveServeConfig(argv, {}, () => NO_CONFIG_FILE),
      { log: story },
    );
    const member = { broker, story };
    members.push(member);
    return member;
  }

  async function statuses(group = 'g', clusterId = 'c'): Promise<MemberStatus[]> {
    const answers = await nc.requestMany(groupSubjects(clusterId, group).status, undefined, {
      maxWait: 150,
      maxMessages: 10,
    });
    const found: MemberStatus[] = [];
    for await (const answer of answers) if (!(answer instanceof Error)) found.push(answer.json());
    return found.sort((a, b) => a.node.localeCompare(b.node));
  }

  /** Waits until one is active and so many watch. @returns the active one */
  async function settled(standbys: number, group = 'g', clusterId = 'c'): Promise<MemberStatus> {
    let found: MemberStatus[] = [];
    await waitFor(
      async () => {
        found = await statuses(group, clusterId);
        const count = (role: string): number => found.filter((status) => status.role === role).length;
        return count('active') === 1 && count('standby') === standbys;
      },
      () => `one active and ${standbys} standbys: ${JSON.stringify(found)}`,
    );
    return found.find(({ role }) => role === 'active')!;
  }

  async function client(id: string, clusterId = 'c'): Promise<StanClient> {
    const connected = await StanClient.connect(nats.url, clusterId, id);
    clients.push(connected);
    return connected;
  }

  /** Asks until the active agrees: on a machine that stands still for a moment it knows of no standby. */
  async function handOver(): Promise<unknown> {
    let answer = { ok: false };
    await waitFor(
      async () => {
        answer = (await nc.request(groupSubjects('c', 'g').handover, undefined, { timeout: 2_000 })).json();
        return answer.ok;
      },
      () => `the active hands over: ${JSON.stringify(answer)}`,
    );
    return answer;
  }

  it('has one that serves, and others that watch', async () => {
    await start('a');
    await Promise.all([start('b'), start('c')]);
    const active = await settled(2);
    assert.equal(active.epoch, 1);
    const all = await statuses();
    assert.deepEqual(
      all.map(({ node }) => node),
      ['a', 'b', 'c'],
    );
    assert.equal(new Set(all.map(({ store }) => store.storeId)).size, 1);
    assert.ok(active.leaseAgeMs !== null && active.leaseAgeMs < active.leaseMs);
    await (await client('p')).publish('foo', 'x');
  });

  it('starts on an empty store all at once', async () => {
    await Promise.all([start('a'), start('b'), start('c')]);
    await settled(2);
  });

  it('tells the story of each takeover, and every member knows of it', async () => {
    const stories = async (): Promise<(TakeoverTimeline | null)[][]> =>
      (await statuses()).map(({ takeoverHistory }) => takeoverHistory.map(({ story }) => story));
    await start('a');
    const first = await settled(0);
    await start('b');
    await settled(1);
    const publisher = await client('p');
    for (let i = 0; i < 10; i++) await publisher.publish('foo', `${i}`);
    await waitFor(
      async () => (await stories())[1]!.length === 1,
      () => 'the standby knows of the first',
    );
    await handOver();
    await waitFor(
      async () => (await settled(1)).node === 'b',
      () => 'the other is active',
    );
    await waitFor(
      async () => (await stories()).every((known) => known.length === 2 && !known.includes(null)),
      () => 'both know of both',
    );
    for (const [opened, handedOver] of await stories()) {
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

  it('hands over when somebody asks, and clients go on', async () => {
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

  it('hears what is published during a handover, however long the active takes to leave', async (context) => {
    await Promise.all([start('a'), start('b')]);
    const before = await settled(1);
    const publisher = await client('p');
    const { rename } = fs.promises;
    let isLeaving = false;
    context.mock.method(fs.promises, 'rename', async (from: string, to: string) => {
      if (to.endsWith('.released')) {
        isLeaving = true;
        // The standby looks at the lease several times meanwhile: it is still held, and renewed a moment ago.
        await sleep(300);
      }
      return await rename(from, to);
    });
    await handOver();
    await waitFor(() => isLeaving, 'it leaves');
    const acked: Promise<unknown>[] = [];
    for (let i = 0; i < 20; i++) {
      acked.push(publisher.publish('foo', `${i}`));
      await sleep(10);
    }
    await within(Promise.all(acked), 'all are acknowledged');
    assert.equal((await settled(1)).epoch, before.epoch + 1);
  });

  it('leaves only when all standbys listen, since any of them may be next', async () => {
    // Long enough for the one that is slow to answer, on any machine.
    const lease = { 'ft-lease': '10s' };
    await Promise.all([start('a', lease), start('b', lease)]);
    const { member, epoch, store } = await settled(1);
    const { talk } = groupSubjects('c', 'g');
    const slow = { member: 'c@elsewhere@1@1', epoch };
    const said: string[] = [];
    const listening = nc.subscribe(talk, {
      callback: (_, { data }) => {
        const message = decodeGroupMessage(data)!;
        if (message.kind === 'released' || message.kind === 'ready') said.push(message.kind);
        if (message.kind === 'offer' && message.member === member)
          void sleep(100).then(() => nc.publish(talk, encodeGroupMessage({ kind: 'ready', ...slow })));
      },
    });
    const about = { node: 'c', forMs: 0, storeId: store.storeId, storeDir: '', server: '' };
    nc.publish(talk, encodeGroupMessage({ kind: 'heartbeat', role: 'standby', ...slow, ...about }));
    await handOver();
    await waitFor(() => said.includes('released'), 'it leaves');
    listening.unsubscribe();
    assert.deepEqual(said, ['ready', 'ready', 'released']);
  });

  it('refuses to hand over when nobody would take it', async () => {
    await start('a');
    await settled(0);
    const answer = await nc.request(groupSubjects('c', 'g').handover, undefined, { timeout: 2_000 });
    assert.deepEqual(answer.json(), { ok: false, error: 'there is no standby' });
  });

  it('stops when it is asked to while it takes the lease, and leaves it to others', async (context) => {
    const { rename } = fs.promises;
    let stopping: Promise<void> | undefined;
    const take = context.mock.method(fs.promises, 'rename', async (from: string, to: string) => {
      if (/reign\/0*1\.0*\.a/.test(to)) stopping ??= first.broker.stop();
      return await rename(from, to);
    });
    const first = await start('a', { 'ft-lease': '10s' });
    await waitFor(() => stopping !== undefined, 'it takes the lease');
    await within(stopping!, 'it stops');
    take.mock.restore();
    assert.equal((await first.broker.stopped).exitCode, 0);
    assert.ok(!first.story.lines.includes('Streaming Server is ready'));
    // At once, and not when a lease is over.
    await start('b', { 'ft-lease': '10s' });
    assert.equal((await settled(0)).node, 'b');
  });

  it('goes on when the active is stopped, and takes it back as a standby', async () => {
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

  it('takes over also where there can be no locks, and each member says so once', async () => {
    await mkdir(join(dir, 'store'));
    await writeFile(join(dir, 'store', 'reign.locks'), '');
    await start('a');
    await start('b');
    await settled(1);
    for (const epoch of [2, 3, 4, 5]) {
      await handOver();
      await waitFor(
        async () => (await settled(1)).epoch >= epoch,
        () => `the other is active in epoch ${epoch}`,
      );
    }
    await (await client('p')).publish('foo', 'x');
    for (const { story } of members) {
      const said = story.lines.filter((line) => /reign\.locks cannot be used/.test(line));
      assert.equal(said.length, 1, story.lines.join('\n'));
    }
  });

  it('does not take in a member with another store, and says so by name', async () => {
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

  it('keeps no member that looks at a copy of the store, and lets it take nothing', async () => {
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
      member.story.lines.some((line) => line.includes('taking over')),
      false,
    );
    assert.equal((await settled(0)).epoch, epoch);
  });

  it('does not go on with an old copy that was put in the place of the store, not even who was active', async () => {
    const path = join(dir, 'store');
    const member = await start('a');
    await settled(0);
    const publisher = await client('p');
    await publisher.publish('foo', 'old');
    await cp(path, `${path}-copy`, { recursive: true });
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
    const took = member.story.lines.filter((line) => line.includes('taking over'));
    assert.equal(took.length, 1, 'it took the lease once, and never of the copy');
  });

  it('ends, whoever is active, when a copy that is as new as the store is put in its place', async () => {
    const path = join(dir, 'store');
    await start('a', { 'ft-lease': '2s' });
    await settled(0);
    await start('b', { 'ft-lease': '2s' });
    await settled(1);
    const publisher = await client('p');
    await publisher.publish('foo', 'old');
    const lease = (of: string): string => fs.readdirSync(join(of, 'reign')).join();
    const before = lease(path);
    await waitFor(() => lease(path) !== before, 'a renewal: the next one comes in two thirds of a second');
    fs.cpSync(path, `${path}-copy`, { recursive: true });
    fs.renameSync(path, `${path}-real`);
    fs.renameSync(`${path}-copy`, path);
    assert.equal(lease(path), lease(`${path}-real`));
    for (const { broker, story } of members) {
      const { exitCode, error } = await within(broker.stopped, 'it ends');
      assert.equal(exitCode, 1);
      assert.match(
        error?.message ?? '',
        /The store of group "g" has gone back: .* replaced by a copy .* while members were running/,
      );
      assert.equal(said(story, /^taking over in epoch 2/), false);
    }
    // Whoever looks at the copy finds it as it was left.
    assert.match(lease(path), /^00000001\.\d+\.a@/);
    publisher.drop();
  });

  it('has another one serve when the successor hangs in what it reads, and takes that one back when it goes on', {
    skip: process.platform === 'win32' && 'there are no named pipes',
  }, async () => {
    const path = join(dir, 'store');
    // Whoever opens a pipe to read hangs in the kernel until somebody opens it to write.
    const pipe = join(path, 'checkpoints', '00000001.000099.ckpt');
    const aside = join(dir, 'pipe');
    const first = await start('a');
    await settled(0);
    const publisher = await client('p');
    await publisher.publish('foo', 'before');
    await start('b');
    await start('c');
    await settled(2);
    execFileSync('mkfifo', [pipe]);
    try {
      await first.broker.stop();
      await waitFor(
        async () => (await statuses()).some(({ role, epoch }) => role === 'recovering' && epoch === 2),
        'one takes the lease',
      );
      // It hangs for the one that has opened it, and for nobody else.
      const recovering = members.find(({ story }) => said(story, /^taking over in epoch 2/))!;
      await rename(pipe, aside);
      const active = await settled(1);
      assert.deepEqual([active.epoch, said(recovering.story, /is ready/)], [3, false]);
      assert.match(
        recovering.story.lines.find((line) => line.startsWith('recovering the store')) ?? '',
        /hangs: open of \S+checkpoints\/00000001\.000099\.ckpt has not ended for 1\d{4} ms.* The lease is given back/,
      );
      const hung = (await statuses()).find(({ role }) => role === 'standby')!;
      assert.match(
        hung.trouble ?? '',
        /recovering the store hung: open of .* no term is taken before it has/,
      );
      await publisher.publish('foo', 'after');
      // Nothing has come of that epoch, and nothing does.
      const written = async (): Promise<string[]> =>
        (await readdir(path, { recursive: true })).filter((name) =>
          /\b00000002\.\d+\.(log|seg|ckpt)$/.test(name),
        );
      assert.deepEqual(await written(), []);
      await release(aside);
      await waitFor(async () => (await statuses()).every(({ trouble }) => trouble === null), 'it goes on');
      assert.deepEqual(await written(), []);
      await handOver();
      await waitFor(async () => (await settled(1)).node === hung.node, 'it serves when it is asked to');
      const received: string[] = [];
      await (await client('s')).subscribe('foo', { all: true, onMessage: ({ data }) => received.push(data) });
      await waitFor(() => received.length === 2, 'both are there');
      assert.deepEqual(received, ['before', 'after']);
    } finally {
      // What still hangs would keep the process from ending.
      for (const left of [pipe, aside]) await release(left);
    }
  });

  it('shares a NATS server with another group', async () => {
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

  it('does not serve a cluster id that a group of another name serves from another store', async () => {
    await start('a');
    await settled(0);
    const copy = join(dir, 'copy');
    await cp(join(dir, 'store'), copy, { recursive: true });
    for (const other of [copy, join(dir, 'empty')])
      await assert.rejects(
        start('x', { 'ft-group': 'h', dir: other }),
        /Group "g" \(node a, .*store\) serves this cluster id already, and .* is not its store/,
      );
    // As in a rolling update that gives it another name.
    const renamed = await start('b', { 'ft-group': 'h' });
    await waitFor(() => renamed.story.lines.includes('Standby: watching'), 'it watches');
    assert.equal((await settled(0)).node, 'a');
  });

  it('lets a broker alone have its store, and the other way round', async () => {
    const alone = await start('alone', { 'ft-group': '' });
    const member = await start('a');
    await waitFor(() => member.story.lines.includes('Standby: watching'), 'it watches');
    // For longer than the lease.
    const { hasStopped } = watchEnd(alone.broker);
    const until = performance.now() + 1_500;
    await waitFor(() => performance.now() > until || hasStopped(), 'time to pass');
    assert.equal(hasStopped(), false);
    await alone.broker.stop();
    assert.equal((await settled(0)).node, 'a');
    await assert.rejects(start('alone', { 'ft-group': '' }), /is held by node "a"/);
  });

  it('replaces an active whose nats-server is gone', async () => {
    const lonely = await NatsProcess.start();
    try {
      await start('a', { 'nats-server': lonely.url });
      await start('b');
      // They do not hear each other, but the store is one.
      const watching = (): boolean => members[1]!.story.lines.includes('Standby: watching');
      await waitFor(watching, 'b watches');
      await lonely.stop();
      assert.equal((await settled(0)).node, 'b');
      assert.ok(
        members[0]!.story.lines.some((line) => /the term of epoch 1 ends: no connection to NATS/.test(line)),
      );
      assert.equal(members[0]!.story.lines.filter((line) => line === 'Standby: watching').length, 2);
    } finally {
      await lonely.stop();
    }
  });

  it('replaces an active that two of three members do not hear, though it renews and hears itself', async () => {
    const lonely = await NatsProcess.start();
    try {
      const lease = { 'ft-lease': '300ms' };
      await start('a', { 'nats-server': lonely.url, ...lease });
      const said = (i: number, line: RegExp): number =>
        members[i]!.story.lines.filter((text) => line.test(text)).length;
      await waitFor(() => said(0, /Streaming Server is ready/) === 1, 'a serves');
      await Promise.all([start('b', lease), start('c', lease)]);
      await settled(1);
      assert.equal(
        said(1, /^taking over .*cut off: not heard/) + said(2, /^taking over .*cut off: not heard/),
        1,
      );
      // It does not take it back: one of two is no majority.
      const until = performance.now() + 300 * 7;
      await waitFor(() => performance.now() > until, 'time to pass');
      assert.equal(said(0, /^taking over/), 1);
    } finally {
      await lonely.stop();
    }
  });

  it('tells in its status with whom it disputes the lease, while it does what it can', async () => {
    const lonely = await NatsProcess.start();
    try {
      const lease = { 'ft-lease': '300ms', 'http-port': '-1' };
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
      const health = await fetch(`${members[0]!.story.url}/healthz`);
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

function said({ lines }: Story, line: RegExp): boolean {
  return lines.some((text) => line.test(text));
}

/** Whoever hangs in a named pipe goes on. */
async function release(pipe: string): Promise<void> {
  const flags = fs.constants.O_WRONLY | fs.constants.O_NONBLOCK;
  await open(pipe, flags).then(
    (file) => file.close(),
    // There is none, or nobody hangs there.
    () => {},
  );
}

function watchEnd(broker: RunningBroker): { hasStopped: () => boolean } {
  let isStopped = false;
  void broker.stopped.then(() => {
    isStopped = true;
  });
  return { hasStopped: () => isStopped };
}

function range(prefix: string): string[] {
  return Array.from({ length: 100 }, (_, i) => `${prefix} ${i}`);
}
