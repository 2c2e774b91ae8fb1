import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import type { Broker } from '../harness/broker.js';
import { Rig } from '../harness/rig.js';
import { Child } from './child.js';
import { channelNames } from './lines/line.js';
import { LoadRun } from './load/load-run.js';
import type { LoadResult, LoadSpec } from './load/spec.js';
import type { Run } from './report/run-figures.js';

const MAX_MS = 90_000;

describe('the load generator', () => {
  const rig = new Rig({ store: 'memory', broker: false });
  let broker: Broker;
  let runs = 0;

  before(async () => {
    broker = await rig.startBroker({ clusterId: 'bench' });
  });

  function load(given: Partial<LoadSpec>): Promise<LoadResult> {
    const spec: LoadSpec = {
      natsPort: rig.nats.port,
      clusterId: 'bench',
      runId: `smoke${++runs}`,
      publishers: 1,
      subscribers: 0,
      isQueue: false,
      isReplay: false,
      channels: channelNames(1),
      payloadBytes: 128,
      window: 100,
      maxInFlight: 100,
      maxLag: 1_000,
      coldMessages: 200,
      warmMessages: 800,
      maxSeconds: 10,
      targetPid: broker.pid,
      natsPid: process.pid,
    };
    return new LoadRun({ ...spec, ...given }).run();
  }

  it('measures the first messages apart from those behind them', async () => {
    const { cold, warm, totalMessages } = await load({});
    assert.ok(cold !== undefined && cold.messages >= 200 && cold.messagesPerSecond > 0);
    assert.ok(warm !== undefined && warm.messages >= 800 && warm.targetCpuMicros > 0);
    assert.ok(totalMessages >= 1_000);
  });

  it('leaves a phase out that is not asked for', async () => {
    assert.equal((await load({ warmMessages: 0 })).warm, undefined);
    assert.equal((await load({ coldMessages: 0 })).cold, undefined);
  });

  it('counts the messages of a queue group together', async () => {
    const { totalMessages, redelivered } = await load({
      publishers: 2,
      subscribers: 4,
      isQueue: true,
      channels: ['queue.0'],
    });
    assert.ok(totalMessages >= 1_000);
    assert.equal(redelivered, 0);
  });

  it('counts a message once that every subscriber gets', async () => {
    const { totalMessages, warm } = await load({ subscribers: 3, channels: ['all.00'] });
    assert.ok(warm !== undefined && warm.messages >= 800 && warm.messages <= totalMessages);
  });

  it('replays what is stored, and measures a publisher meanwhile', async () => {
    const channels = ['replay.0'];
    await load({ channels, coldMessages: 0, warmMessages: 3_000 });
    const { warm, probe, totalMessages } = await load({
      channels,
      publishers: 0,
      subscribers: 1,
      isReplay: true,
      coldMessages: 0,
      warmMessages: 3_000,
      probe: { channel: 'probe.0', perSecond: 1_000 },
    });
    assert.ok(warm !== undefined && warm.messages >= 3_000 && totalMessages >= 3_000);
    assert.ok(probe !== undefined && probe.count > 0 && probe.p99Ms > 0);
  });

  it('names what the broker refuses', async () => {
    await assert.rejects(load({ clusterId: 'nobody' }), /no responders/);
  });
});

describe('npm run bench', () => {
  it('measures a line beside the floor, from the start of each process to its end', async () => {
    const args = [
      '--quick',
      '--cold',
      '--json',
      '--sides',
      'stanchion,floor',
      '--lines',
      'one-in-flight,start-help',
    ];
    const main = join(import.meta.dirname, 'run.ts');
    const child = new Child('the bench', process.execPath, ['--import', 'tsx', main, ...args]);
    const run = JSON.parse(await child.completed(MAX_MS)) as Run;
    assert.deepEqual(run.failed, []);
    const line = run.lines.find(({ id }) => id === 'one-in-flight');
    for (const side of ['stanchion', 'floor'] as const) {
      const [figures] = line?.sides[side] ?? [];
      assert.ok(figures !== undefined, side);
      for (const name of ['cold', 'cpu'] as const)
        assert.ok((figures[name] ?? 0) > 0, `${side}: ${name} is ${figures[name]}`);
    }
    const help = run.lines.find(({ id }) => id === 'start-help');
    assert.ok((help?.sides.stanchion?.[0]?.ms ?? 0) > 0);
  });
});
