import assert from 'node:assert/strict';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { Broker } from '../harness/broker.js';
import { Rig } from '../harness/rig.js';
import { waitFor } from '../harness/wait.js';
import { bodyWith, checkpointed, filesOf } from '../store/damaged-store.js';
import { get, getJson, type Json } from './http-rig.js';

describe('a flipped byte in what a checkpoint stands for', () => {
  const rig = new Rig({ store: 'file', broker: false, flags: ['--http-port', '-1'] });

  it('shows in health and metrics, and once in the log, until the message can be read; others are served', async () => {
    const broker = await rig.startBroker();
    const dir = broker.settings.dir!;
    const client = await rig.connect('billing', { broker });
    for (let i = 1; i <= 20; i++) await client.publish('orders', `order ${i}`);
    await client.publish('other', 'other 1');
    await checkpointed(broker);
    await broker.kill();
    const body = bodyWith(dir, 'order 8');
    const whole = readFileSync(body);
    const damaged = Buffer.from(whole);
    for (const payload of ['order 8', 'order 9']) damaged[damaged.indexOf(payload)]! ^= 1;
    writeFileSync(body, damaged);
    await broker.startAgain();

    assert.deepEqual(await health(), { status: 'ok', reasons: [] });
    const reader = await rig.connect('reader', { broker });
    const got: number[] = [];
    await reader.subscribe('orders', {
      ...{ all: true, durableName: 'ledger' },
      onMessage: ({ sequence }) => got.push(sequence),
    });
    const again: number[] = [];
    await reader.subscribe('orders', { all: true, onMessage: ({ sequence }) => again.push(sequence) });
    await waitFor(async () => (await health()).status === 'impaired', 'health tells of it');
    assert.deepEqual([got.at(-1), again.at(-1)], [7, 7]);
    const { reasons } = await health();
    assert.match(
      String(reasons),
      /messages 8 to 9 of channel orders .*\.log, byte \d+: message 8 is not whole/,
    );
    assert.equal((await get(broker, '/healthz')).status, 200);
    assert.equal((await get(broker, '/readyz')).status, 200);
    assert.deepEqual(await metrics(), [
      'stanchion_store_damaged_channels 1',
      'stanchion_store_damaged_messages 2',
      'stanchion_store_damaged_segments 0',
    ]);
    const others: number[] = [];
    await reader.subscribe('other', { all: true, onMessage: ({ sequence }) => others.push(sequence) });
    await waitFor(() => others.length === 1, 'another channel is served');

    // As if the disk had given it wrong once.
    writeFileSync(body, whole);
    await waitFor(() => got.length === 20 && again.length === 20, 'delivery goes on by itself', 15_000);
    assert.deepEqual(
      got,
      Array.from(got, (_, i) => i + 1),
    );
    assert.deepEqual(await health(), { status: 'ok', reasons: [] });
    assert.deepEqual(await metrics(), [
      'stanchion_store_damaged_channels 0',
      'stanchion_store_damaged_messages 0',
      'stanchion_store_damaged_segments 0',
    ]);
    assert.equal(broker.output.match(/messages 8 to 9 of channel orders cannot be read/g)?.length, 1);

    async function health(): Promise<Json> {
      const { status, reasons } = JSON.parse((await get(broker, '/healthz')).text) as Json;
      return { status, reasons };
    }

    async function metrics(): Promise<string[]> {
      return await damageMetrics(broker);
    }
  });
});

async function damageMetrics(broker: Broker): Promise<string[]> {
  const { text } = await get(broker, '/metrics');
  return text.split('\n').filter((line) => line.startsWith('stanchion_store_damaged_'));
}

describe('a segment that is missing', () => {
  const rig = new Rig({ store: 'file', broker: false, flags: ['--http-port', '-1'] });

  it('shows in health, metrics and pages as soon as the broker serves; other channels are served, and it may come back', async () => {
    const broker = await rig.startBroker();
    const client = await rig.connect('billing', { broker });
    for (let i = 1; i <= 20; i++) await client.publish('orders', `order ${i}`);
    await checkpointed(broker);
    await broker.kill();
    const [segment] = filesOf(broker.settings.dir ?? assert.fail('it has a folder'), 'segments');
    assert.ok(segment !== undefined);
    renameSync(segment, `${segment}.away`);
    await broker.startAgain();

    for (const path of ['/healthz', '/readyz']) {
      const { status, text } = await get(broker, path);
      assert.equal(status, 200);
      assert.match(text, /"impaired"[\s\S]*messages 1 to 20 of channel orders .*the file is missing/);
    }
    assert.deepEqual(await damageMetrics(broker), [
      'stanchion_store_damaged_channels 1',
      'stanchion_store_damaged_messages 20',
      'stanchion_store_damaged_segments 1',
    ]);
    const { damaged } = await getJson(broker, '/streaming/channelsz?channel=orders');
    assert.deepEqual(damaged, [{ first: 1, last: 20, why: `${segment}: the file is missing` }]);
    const { rows } = await getJson(broker, '/dashboard/channels');
    assert.deepEqual(
      (rows as Json[]).map(({ name, isDamaged }) => [name, isDamaged]),
      [['orders', true]],
    );
    const again = await rig.connect('again', { broker });
    await again.publish('other', 'other 1');
    const waiting: number[] = [];
    await again.subscribe('orders', { all: true, onMessage: ({ sequence }) => waiting.push(sequence) });
    await again.publish('orders', 'order 21');
    assert.deepEqual(waiting, [], 'no message is skipped');

    renameSync(`${segment}.away`, segment);
    await waitFor(async () => (await getJson(broker, '/healthz')).status === 'ok', 'health is good again');
    const got: number[] = [];
    await again.subscribe('orders', { all: true, onMessage: ({ sequence }) => got.push(sequence) });
    await waitFor(() => got.length === 21, 'all messages');
  });
});
