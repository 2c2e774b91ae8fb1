import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { findGoServer } from '../harness/go-server.js';
import { holdsFor, waitFor } from '../harness/wait.js';
import { CLUSTER_ID, MovedServer } from './moved-server.js';
import { buildStanGo, StanGoClient } from './stan-go.js';

const server = findGoServer();
const stanGo = 'skipped' in server ? server : buildStanGo();
const binary = 'binary' in server ? server.binary : '';

describe('A client that is made with stan.go', { skip: 'skipped' in stanGo && stanGo.skipped }, () => {
  after(() => 'remove' in stanGo && stanGo.remove());

  it('goes on at stanchion without reconnecting, and so do its durable, its member of a group, and its plain subscription', async (t) => {
    const moved = await MovedServer.start(t, binary);
    const publisher = await moved.connect('publisher');
    await publisher.publishMany('orders', 50);
    assert.ok('binary' in stanGo);
    const client = new StanGoClient(stanGo.binary, moved.nats.url, CLUSTER_ID, 'go', 'orders');
    t.after(() => client.kill());
    await client.tell('sub durable 5 d');
    await client.tell('sub plain 3');
    await client.tell('sub member 4 dq q');
    for (const [sub, count] of [
      ['durable', 5],
      ['plain', 3],
      ['member', 4],
    ] as const)
      await waitFor(() => client.of(sub).length === count, `${sub} has its ${count} messages`);
    for (const sequence of [2, 4]) await client.tell(`ack durable ${sequence}`);
    await client.tell('ack member 1');
    await waitFor(() => client.of('durable').length === 7 && client.of('member').length === 5, 'more came');

    await moved.go.kill();
    await moved.import('store');
    const broker = await moved.serve('store', [
      '--hb-interval',
      '500ms',
      '--hb-timeout',
      '400ms',
      '--hb-fail-count',
      '2',
    ]);
    const again = (sub: string): number[] => [...new Set(client.of(sub, true))].sort((a, b) => a - b);
    for (const [sub, pending] of [
      ['durable', [1, 3, 5, 6, 7]],
      ['plain', [1, 2, 3]],
      ['member', [2, 3, 4, 5]],
    ] as const) {
      await waitFor(() => again(sub).length >= pending.length, `${pending} come again to ${sub}`);
      assert.deepEqual(again(sub), pending);
      for (const sequence of pending) await client.tell(`ack ${sub} ${sequence}`);
    }
    await waitFor(
      () => client.of('durable').length === 12 && client.of('plain').length === 6,
      'more follows',
    );
    assert.deepEqual(
      client.of('durable'),
      Array.from({ length: 12 }, (_, i) => i + 1),
    );
    await client.tell('pub after-the-move');
    const last = await publisher.subscribe('orders', { lastReceived: true });
    await last.got(1);
    assert.deepEqual([last.messages[0]?.sequence, last.messages[0]?.data], [51, 'after-the-move']);
    await client.tell('unsub plain');
    await client.tell('close durable');
    await client.tell('sub durable 100 d');
    await waitFor(() => client.of('durable').includes(51), 'the durable comes back, and gets the rest');
    await holdsFor(
      2500,
      () => client.lost === undefined,
      () => `it is not lost: ${client.lost}`,
    );
    assert.doesNotMatch(broker.output, /client closed/);
    await client.tell('end');
  });
});
