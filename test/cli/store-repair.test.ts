import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Broker } from '../harness/broker.js';
import { Rig } from '../harness/rig.js';
import type { Received } from '../harness/stan-client.js';
import { waitFor } from '../harness/wait.js';
import { get, type Json } from '../http/http-rig.js';
import { bodyWith, checkpointed, filesOf } from '../store/damaged-store.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Result {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** As from a script: nobody is at a terminal. */
function stanchion(...args: string[]): Promise<Result> {
  const main = join(root, 'src', 'cli', 'main.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...args], { cwd: root, stdio: 'pipe' });
  const result: Result = { status: null, stdout: '', stderr: '' };
  child.stdin.end();
  child.stdout.on('data', (data) => (result.stdout += data));
  child.stderr.on('data', (data) => (result.stderr += data));
  return new Promise((resolve) => child.on('close', (status) => resolve({ ...result, status })));
}

function flip(path: string, text: string): Buffer {
  const content = readFileSync(path);
  const at = content.indexOf(text);
  assert.ok(at > 0, `${path} has ${text}`);
  content[at]! ^= 1;
  writeFileSync(path, content);
  return content;
}

describe('stanchion store repair', () => {
  const rig = new Rig({ store: 'file', broker: false, flags: ['--http-port', '-1'] });

  it('takes a damaged message out of what a checkpoint stands for, and a durable that stood still before it goes on behind it', async () => {
    const broker = await rig.startBroker();
    const dir = broker.settings.dir!;
    const publisher = await rig.connect(undefined, { broker });
    for (let i = 1; i <= 30; i++) await publisher.publish('orders', `order ${i}.`);
    // They have all of them, and acknowledge none before the repair.
    const waiting = { durable: new Map<number, Received>(), group: new Map<number, Received>() };
    const holder = await rig.connect('holder', { broker });
    for (const kind of ['durable', 'group'] as const) {
      await holder.subscribe('orders', {
        ...{ all: true, durableName: kind, manualAcks: true, ackWaitMs: 1000, maxInFlight: 100 },
        ...(kind === 'group' ? { queueGroup: 'workers' } : {}),
        onMessage: (message) => waiting[kind].set(message.sequence, message),
      });
      await waitFor(() => waiting[kind].size === 30, 'all of them are delivered');
    }
    await checkpointed(broker);
    await broker.kill();
    const body = bodyWith(dir, 'order 8.');
    const damaged = flip(body, 'order 8.');
    await broker.startAgain();

    const got: [number, string][] = [];
    const reader = await rig.connect('billing', { broker });
    await reader.subscribe('orders', {
      ...{ all: true, durableName: 'ledger' },
      onMessage: ({ sequence, data }) => got.push([sequence, data]),
    });
    await waitFor(async () => (await health(broker)).status === 'impaired', 'it stands still');
    assert.equal(got.at(-1)![0], 7);

    const held = await stanchion('store', 'repair', '--dir', dir, '--yes');
    assert.equal(held.status, 1, held.stdout);
    assert.match(held.stderr, /is held by node .* Stop that broker first/);
    await broker.kill('SIGTERM');

    const unasked = await stanchion('store', 'repair', '--dir', dir);
    assert.deepEqual([unasked.status, /give --yes/.test(unasked.stderr)], [2, true], unasked.stderr);
    const dry = await stanchion('store', 'repair', '--dir', dir, '--dry-run');
    assert.equal(dry.status, 0, dry.stderr);
    assert.match(
      dry.stdout,
      /LOST: message 8 of channel orders \(.*\.log, \d+ bytes from byte \d+: message 8 is not whole\)/,
    );
    assert.ok(readFileSync(body).equals(damaged), 'nothing was changed');

    const repaired = await stanchion('store', 'repair', '--dir', dir, '--yes', '--json');
    assert.equal(repaired.status, 0, repaired.stderr);
    const { result, report, keptIn } = JSON.parse(repaired.stdout);
    assert.equal(result, 'repaired');
    assert.deepEqual(
      report.lost.map(({ channel, first, last }: Json) => [channel, first, last]),
      [['orders', 8, 8]],
    );
    assert.deepEqual([report.doubtful, report.also], [[], []]);
    assert.equal(existsSync(body), false);
    assert.ok(readFileSync(join(keptIn, 'journal', body.split('/').at(-1)!)).equals(damaged), 'kept aside');
    const again = await stanchion('store', 'repair', '--dir', dir);
    assert.deepEqual([again.status, /nothing to repair/.test(again.stdout)], [0, true], again.stdout);

    await broker.startAgain();
    await waitFor(
      () => got.length >= 29,
      () => `it goes on behind the gap; it has ${JSON.stringify(got)}`,
    );
    assert.deepEqual(
      got.map(([sequence]) => sequence).sort((a, b) => a - b),
      Array.from({ length: 30 }, (_, i) => i + 1).filter((sequence) => sequence !== 8),
    );
    for (const [sequence, data] of got) assert.equal(data, `order ${sequence}.`);
    assert.deepEqual(await health(broker), { status: 'ok', reasons: [] });
    // What was delivered and not acknowledged comes again, but for what is lost: nobody waits for that any more.
    for (const kind of ['durable', 'group'] as const) {
      waiting[kind].clear();
      await waitFor(() => waiting[kind].size === 29, 'they are delivered again');
      assert.equal(waiting[kind].has(8), false);
      for (const message of waiting[kind].values()) message.ack();
    }
    await waitFor(
      async () => (await pendingCounts(broker)).every((count) => count === 0),
      'nothing is pending',
    );
    await publisher.publish('orders', 'order 31.');
    await waitFor(() => got.at(-1)![0] === 31, 'the next message');
  });

  it('keeps what follows a flipped byte in the journal, that keeps a broker from starting', async () => {
    const broker = await rig.startBroker();
    const dir = broker.settings.dir!;
    const client = await rig.connect(undefined, { broker });
    for (let i = 1; i <= 10; i++) await client.publish('orders', `order ${i}.`);
    await broker.kill();
    flip(filesOf(dir, 'journal')[0]!, 'order 4.');
    const refused = await Broker.refused(broker.settings);
    assert.match(refused.output, /is damaged at byte \d+: .*store repair --dry-run/);

    const repaired = await stanchion('store', 'repair', '--dir', dir, '--yes');
    assert.equal(repaired.status, 0, repaired.stderr);
    assert.match(
      repaired.stdout,
      /LOST: message 4 of channel orders \(.*\.log, \d+ bytes from byte \d+: a record is not whole\)/,
    );
    await broker.startAgain();
    const got: string[] = [];
    const reader = await rig.connect(undefined, { broker });
    await reader.subscribe('orders', { all: true, onMessage: ({ data }) => got.push(data) });
    await waitFor(() => got.at(-1) === 'order 10.', 'all that there is');
    assert.deepEqual(
      got,
      [1, 2, 3, 5, 6, 7, 8, 9, 10].map((i) => `order ${i}.`),
    );
  });

  async function pendingCounts(broker: Broker): Promise<number[]> {
    const { text } = await get(broker, '/streaming/channelsz?channel=orders&subs=1');
    const { subscriptions } = JSON.parse(text) as { subscriptions: { pending_count: number }[] };
    return subscriptions.map(({ pending_count }) => pending_count);
  }

  async function health(broker: Broker): Promise<Json> {
    const { status, reasons } = JSON.parse((await get(broker, '/healthz')).text) as Json;
    return { status, reasons };
  }
});
