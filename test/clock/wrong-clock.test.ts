import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { connect } from 'nats';
import { askStatus } from '../../src/group/report/ask-status.js';
import type { Broker } from '../harness/broker.js';
import { freePort } from '../harness/free-ports.js';
import { Rig } from '../harness/rig.js';
import { SettableClock } from '../harness/settable-clock.js';
import { waitFor } from '../harness/wait.js';

const HOUR_MS = 3_600_000;
const LIMITS = {
  store_limits: { channels: { 'kept.*': { max_age: '1h' }, 'short.*': { max_age: '1s' } } },
};

async function json(port: number, path: string): Promise<Record<string, unknown>> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return (await response.json()) as Record<string, unknown>;
}

async function count(port: number, channel: string): Promise<unknown> {
  return (await json(port, `/streaming/channelsz?channel=${channel}`)).msgs;
}

async function reasons(port: number): Promise<string> {
  return String((await json(port, '/healthz')).reasons);
}

for (const store of ['memory', 'file'] as const) {
  describe(`a broker with a ${store} store whose machine's clock jumps`, () => {
    const rig = new Rig({ store, broker: false });

    it('deletes by age as time passes, gives times that go on, says so, and no channel suffers from another', async () => {
      const folder = rig.folder();
      const config = join(folder, 'limits.json');
      writeFileSync(config, JSON.stringify(LIMITS));
      const clock = new SettableClock(folder, 'clock');
      const port = await freePort();
      const broker = await rig.startBroker({
        ...(store === 'file' && { dir: join(folder, 'store') }),
        environment: clock.environment,
        flags: ['--config', config, '--http-port', String(port)],
      });
      const client = await rig.connect(undefined, { broker });
      await client.publish('kept.a', '1');
      const startMs = Date.now();
      clock.set(2 * HOUR_MS);
      await waitFor(async () => /has jumped forward by 7200 s/.test(await reasons(port)), 'it is noticed');
      await client.publish('kept.a', '2');
      await client.publish('short.a', '1');
      assert.equal(await count(port, 'kept.a'), 2, 'neither is an hour old');
      await waitFor(async () => (await count(port, 'short.a')) === 0, 'it is a second old');
      clock.set(0);
      await waitFor(async () => (await reasons(port)) === '', 'it is put right');
      await client.publish('kept.a', '3');
      await client.publish('short.b', '1');
      await waitFor(async () => (await count(port, 'short.b')) === 0, 'it is a second old');
      const subscription = await client.subscribe('kept.a', { all: true });
      await waitFor(() => subscription.messages.length === 3, 'all are there');
      for (const { timestampMs } of subscription.messages)
        assert.ok(
          timestampMs > startMs - 30_000 && timestampMs <= Date.now() + 1,
          new Date(timestampMs).toISOString(),
        );
    });
  });
}

describe('a broker alone that is started again under a wrong clock', () => {
  const rig = new Rig({ store: 'file', broker: false });

  it('deletes nothing too early if the clock is hours ahead, says so, and goes by it again when it is put right', {
    skip: process.platform === 'linux' ? false : 'the machine does not name its present run',
  }, async () => {
    const folder = rig.folder();
    const clock = new SettableClock(folder, 'clock');
    const port = await freePort();
    const start = (): Promise<Broker> =>
      rig.startBroker({
        clusterId: 'c',
        dir: join(folder, 'store'),
        environment: clock.environment,
        flags: `--max-age 1h --http-port ${port}`.split(' '),
      });
    const count = async (broker: Broker): Promise<number> => {
      const client = await rig.connect(undefined, { broker });
      await client.publish('orders', '1');
      const subscription = await client.subscribe('orders', { timeDeltaMs: HOUR_MS / 2 });
      await client.publish('orders', 'last');
      await waitFor(() => subscription.messages.some(({ data }) => data === 'last'), 'the last one comes');
      for (const { timestampMs } of subscription.messages)
        assert.ok(Math.abs(timestampMs - Date.now()) < 60_000, new Date(timestampMs).toISOString());
      await client.close();
      return subscription.messages.length;
    };
    const first = await start();
    assert.equal(await count(first), 2);
    // It has no chance to write anything more.
    await first.kill('SIGKILL');
    clock.set(2 * HOUR_MS);
    const ahead = await start();
    assert.match(ahead.output, /has jumped forward by 7[12]\d\d s while no broker was running/);
    assert.match(await reasons(port), /has jumped forward by 7[12]\d\d s, and is not believed/);
    assert.equal(await count(ahead), 4, 'none is gone');
    clock.set(0);
    await waitFor(async () => (await reasons(port)) === '', 'it is put right');
    assert.equal(await count(ahead), 6);
  });
});

describe('a group, one of whose machines has a clock that is two hours ahead', () => {
  const rig = new Rig({ store: 'file', broker: false });

  it('deletes nothing when that one takes over, and says whose clock it is', async () => {
    const folder = rig.folder();
    const shared = { clusterId: 'c', dir: join(folder, 'store') };
    const ports = { a: await freePort(), b: await freePort() };
    const start = (node: 'a' | 'b', environment = {}): Promise<Broker> =>
      rig.startBroker({
        ...shared,
        environment,
        flags: `--ft-group g --node-name ${node} --max-age 1h --http-port ${ports[node]}`.split(' '),
      });
    const right = await start('a');
    const clock = new SettableClock(folder, 'b');
    clock.set(2 * HOUR_MS);
    const ahead = await start('b', clock.environment);
    const client = await rig.connect(undefined, { broker: right });
    await client.publishMany('orders', 20);
    await waitFor(
      async () => /clock of node b is 7[12]\d\d s ahead of that of this machine/.test(await reasons(ports.a)),
      'the one says it',
    );
    await waitFor(
      async () => /clock of node a is 7[12]\d\d s behind/.test(await reasons(ports.b)),
      'the other too',
    );
    const nats = await connect({ servers: rig.nats.url });
    const members = await askStatus(nats, 'c', 'g').finally(() => nats.close());
    for (const { node, warnings } of members) assert.match(String(warnings), /the clock of node/, node);
    assert.equal(members.length, 2);
    await right.kill('SIGKILL');
    await waitFor(
      () => /Streaming Server is ready/.test(ahead.output),
      () => ahead.output,
    );
    await client.publish('orders', 'last');
    const subscription = await client.subscribe('orders', { timeDeltaMs: HOUR_MS / 2 });
    await waitFor(() => subscription.messages.length === 21, 'all are there, none older than it is');
  });
});
