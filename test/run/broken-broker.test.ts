import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CommitGate } from '../../src/broker/delivery/commit-gate.js';
import { EventFeed } from '../../src/dashboard/event-feed.js';
import { connect, type StanConnection } from '../../src/index.js';
import { View } from '../../src/monitor/view.js';
import { Pace } from '../../src/run/rehearsal/pace.js';
import { type BrokerOptions, type RunningBroker, startBroker } from '../../src/server.js';
import { FileLog } from '../../src/store/log/file-log.js';
import { MemoryLog } from '../../src/store/memory/memory-log.js';
import { BREAKS, BrokenPart } from '../harness/broken-part.js';
import { Child } from '../harness/child.js';
import { NatsServer } from '../harness/nats-server.js';
import { waitFor, within } from '../harness/wait.js';

const SERVE = fileURLToPath(new URL('./broken-serve.ts', import.meta.url));

let folder: string;
let nats: NatsServer;
let stores = 0;
let part: BrokenPart | undefined;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'stanchion-broken-'));
  nats = await NatsServer.start();
});

after(async () => {
  await nats.stop();
  rmSync(folder, { recursive: true, force: true });
});

afterEach(() => part?.restore());

const client = (clusterId: string): Promise<StanConnection> =>
  connect({ clusterId, clientId: 'publisher', servers: nats.url, ackTimeout: 30_000 });

describe('a lone broker in which something breaks', () => {
  for (const [where, store, prototype, method] of [
    ['as a publish is appended to its file', 'file', FileLog.prototype, 'append'],
    ['as a publish is appended to its memory', 'memory', MemoryLog.prototype, 'append'],
    ['when a batch is durable', 'file', CommitGate.prototype, 'release'],
  ] as const) {
    it(`ends with exit code 1, acks nothing more, and leaves its store to the next one: ${where}`, async () => {
      const clusterId = `broken-${++stores}`;
      const dir = join(folder, clusterId);
      const lines: string[] = [];
      const say = (_fields: unknown, message: string): void => void lines.push(message);
      const log = { debug: () => {}, info: say, warn: say, error: say, child: () => log };
      const options: BrokerOptions = {
        clusterId,
        store,
        natsServer: nats.url,
        log,
        ...(store === 'file' && { dir }),
      };
      const listeners = process.listenerCount('uncaughtException');
      const broker = await startBroker(options);
      assert.equal(process.listenerCount('uncaughtException'), listeners);
      const stan = await client(clusterId);
      await stan.publish('orders', 'before');
      part = new BrokenPart(prototype, method, 1, BREAKS.invariant);
      let isAcked = false;
      const published = stan.publish('orders', 'broken').then(() => {
        isAcked = true;
      });
      published.catch(() => {});
      const { exitCode, error } = await within(broker.stopped, 'the broker ends');
      assert.equal(exitCode, 1);
      assert.match(String(error), /BrokenInvariant: it does not hold that this part is whole\. .*report it/);
      assert.equal(lines.filter((line) => line.startsWith('a bug: the broker says nothing more')).length, 1);
      assert.equal(isAcked, false);

      const next = await startBroker(options);
      if (store === 'file') {
        await within(published, 'the publish is acked by the next broker');
        assert.deepEqual(await contents(stan, 2), ['before', 'broken']);
      }
      await stan.close().catch(() => {});
      await next.stop();
    });
  }

  it('is a process that says why, and ends with exit code 1', async () => {
    const clusterId = 'broken-process';
    const argv = ['--cluster-id', clusterId, '--nats-server', nats.url, '--log-format', 'json'];
    const child = new Child(process.execPath, [
      ...['--import', 'tsx', SERVE],
      ...[...argv, '--store', 'file', '--dir', join(folder, clusterId)],
    ]);
    try {
      await waitFor(
        () => child.output.includes('Streaming Server is ready'),
        () => `it is ready: ${child.output}`,
      );
      const stan = await client(clusterId);
      for (const text of ['a', 'b']) await stan.publish('orders', text);
      stan.publish('orders', 'c').catch(() => {});
      const { code } = await within(child.exit, 'the process ends');
      assert.equal(code, 1);
      assert.match(child.output, /"msg":"a bug: the broker says nothing more, and steps down"/);
      assert.match(child.output, /TypeError: Cannot read properties of undefined\\n {4}at /);
      assert.doesNotMatch(child.output, /an error that nobody handled/);
      await stan.close().catch(() => {});
    } finally {
      await child.destroy();
    }
  });
});

describe('a rehearsal that breaks', () => {
  for (const ftGroup of [undefined, 'g']) {
    it(`ends nothing else: ${ftGroup === undefined ? 'a lone broker' : 'a standby'} logs it, and goes on`, async () => {
      const clusterId = `broken-${++stores}`;
      const lines: string[] = [];
      const say = (_fields: unknown, message: string): void => void lines.push(message);
      const log = { debug: () => {}, info: say, warn: say, error: say, child: () => log };
      const options: BrokerOptions = {
        ...{ clusterId, natsServer: nats.url, log },
        ...(ftGroup && { ftGroup, store: 'file', dir: join(folder, clusterId) }),
      };
      const first = ftGroup && (await startBroker({ ...options, nodeName: 'first' }));
      part = new BrokenPart(Pace.prototype, 'giveWay', 1, BREAKS.invariant);
      const broker = await startBroker({ ...options, ...(ftGroup && { nodeName: 'second' }) });
      await waitFor(
        () => lines.some((line) => line.startsWith('a bug: the rehearsal has failed')),
        () => `it is logged: ${lines.join('\n')}`,
      );
      if (first) await first.stop();
      const stan = await client(clusterId);
      await stan.publish('orders', 'after a broken rehearsal');
      await stan.close();
      await broker.stop();
      assert.deepEqual(await broker.stopped, { exitCode: 0 });
    });
  }
});

describe('a page that breaks', () => {
  let broker: RunningBroker;
  let stan: StanConnection;

  before(async () => {
    broker = await startBroker({
      ...{ clusterId: 'pages', natsServer: nats.url, httpAddr: '127.0.0.1', httpPort: -1 },
    });
    stan = await client('pages');
  });

  after(async () => {
    await stan.close();
    await broker.stop();
  });

  it('is answered with 500, and the broker serves', async () => {
    part = new BrokenPart(View.prototype, 'answer', 1, BREAKS.invariant);
    const { status } = await fetch(`${broker.httpUrl}/dashboard/channels`);
    assert.equal(status, 500);
    await stan.publish('orders', 'after a broken page');
    assert.equal((await fetch(`${broker.httpUrl}/healthz`)).status, 200);
  });

  it('does not end the process, when it is the feed of the dashboard', async () => {
    const beats = new BrokenPart(EventFeed.prototype, 'send', 1, BREAKS.exception);
    part = beats;
    await waitFor(
      () => beats.hasBroken,
      () => 'the dashboard beats',
    );
    await stan.publish('orders', 'after a broken dashboard');
  });
});

async function contents(stan: StanConnection, count: number): Promise<string[]> {
  const texts: string[] = [];
  const subscription = await stan.subscribe('orders', { startAt: 'all' });
  for await (const message of subscription) {
    texts.push(message.string());
    if (texts.length === count) break;
  }
  return texts;
}
