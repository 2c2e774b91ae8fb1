import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Broker } from '../../src/broker/broker.js';
import { NO_CONFIG_FILE, resolveServeConfig } from '../../src/config/resolve.js';
import { BrokerNode } from '../../src/run/broker-node.js';
import { Unreadable } from '../../src/store/types/unreadable.js';
import { ManualClock } from '../clock/manual-clock.js';
import { Broker as BrokerProcess } from '../harness/broker.js';
import { freePort } from '../harness/free-ports.js';
import { waitFor } from '../harness/wait.js';
import { get, httpRig, type Json } from './http-rig.js';

/** Pages that have nothing to tell before a start is complete. */
const WITH_FIGURES = [
  ...['/streaming', '/streaming/serverz', '/streaming/storez', '/streaming/channelsz', '/streaming/clientsz'],
  '/streaming/isFTActive',
];

describe('/healthz and /readyz', () => {
  const rig = httpRig({ flags: ['--node-name', 'stan-0'] });

  it('are 200 while clients are served', async () => {
    for (const path of ['/healthz', '/readyz']) {
      const { status, health } = await ask(path);
      assert.equal(status, 200);
      assert.deepEqual(Object.keys(health), [
        ...['status', 'reasons', 'node', 'cluster_id', 'state', 'nats', 'store'],
      ]);
      assert.deepEqual([health.status, health.reasons], ['ok', []]);
      assert.deepEqual([health.node, health.cluster_id], ['stan-0', rig.broker.clusterId]);
      const { connected, server } = health.nats as Json;
      assert.deepEqual([connected, server], [true, `127.0.0.1:${rig.nats.port}`]);
      assert.deepEqual(health.store, { type: 'MEMORY', full: false });
    }
  });

  it('are 503 and say why while there is no NATS server; /livez stays 200: a restart would not help', async () => {
    await rig.nats.stop();
    await waitFor(async () => (await ask('/healthz')).status === 503, '/healthz is 503');
    for (const path of ['/healthz', '/readyz']) {
      const { status, health } = await ask(path);
      assert.deepEqual([status, health.status], [503, 'unavailable']);
      assert.match(String(health.reasons), /^no connection to NATS since \d{4}-\d\d-\d\dT[\d:.]+Z: \S/);
      assert.equal((health.nats as Json).connected, false);
    }
    assert.equal((await get(rig.broker, '/livez')).status, 200);
    assert.equal((await get(rig.broker, '/streaming/serverz')).status, 200);
    assert.match((await get(rig.broker, '/metrics')).text, /\nstanchion_nats_connected 0\n/);

    await rig.nats.start();
    await waitFor(async () => (await ask('/readyz')).status === 200, '/readyz is 200 again');
    assert.equal((await ask('/healthz')).status, 200);
    const { text } = await get(rig.broker, '/metrics');
    assert.match(text, /\nstanchion_nats_connected 1\n/);
    assert.match(text, /\nstanchion_nats_losses_total 1\n/);
  });

  for (const [kind, store, flags] of [
    ['broker alone', 'memory', []],
    ['member of a group', 'file', ['--ft-group', 'g']],
  ] as const) {
    it(`are answered before there is a NATS server, as /metrics; pages with figures say that it is too early: ${kind}`, async () => {
      await rig.nats.stop();
      const port = await freePort();
      const starting = BrokerProcess.start(
        rig.settings({ store, flags: ['--http-port', String(port), ...flags] }),
      );
      starting.catch(() => {});
      const ask = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`);
      const status = (path: string): Promise<number> =>
        ask(path).then(
          (response) => response.status,
          () => 0,
        );
      try {
        await waitFor(async () => (await status('/livez')) === 200, '/livez is answered');
        await waitFor(async () => (await status('/healthz')) === 503, '/healthz misses NATS');
        assert.equal(await status('/metrics'), 200);
        for (const path of WITH_FIGURES) {
          const early = await ask(path);
          assert.deepEqual([early.status, early.headers.get('retry-after')], [503, '1'], path);
          assert.match(await early.text(), /does not serve yet \(no connection to NATS since .*\/readyz/);
        }
        // For people: the page itself, which says how it stands.
        const page = await ask('/');
        assert.deepEqual([page.status, page.headers.get('retry-after')], [503, '1']);
        assert.match(await page.text(), /^<!doctype html>/);
        assert.equal(await status('/dashboard/state'), 200);
        await rig.nats.start();
        await starting;
        assert.equal(await status('/readyz'), 200);
        for (const path of ['/', ...WITH_FIGURES]) assert.ok([200, 204].includes(await status(path)), path);
      } finally {
        await rig.nats.stop();
        await rig.nats.start();
        await (await starting).destroy();
      }
    });
  }

  async function ask(path: string): Promise<{ status: number; health: Json }> {
    const { status, text } = await get(rig.broker, path);
    return { status, health: JSON.parse(text) as Json };
  }
});

describe('The health of a broker', () => {
  const config = resolveServeConfig([], {}, () => NO_CONFIG_FILE);
  const newNode = (): BrokerNode => new BrokerNode(config, 'id', new ManualClock());
  const recovered = (store: Partial<Broker['store']> = {}): Broker =>
    ({
      store: {
        fullReason: undefined,
        pendingBytes: 0,
        unreadable: new Unreadable(),
        segmentProblems: [],
        ...store,
      },
      maxPendingBytes: config.maxPendingBytes,
    }) as unknown as Broker;

  it('is good while it recovers, however long that takes; it is not ready', () => {
    const node = newNode();
    assert.deepEqual(node.health, {
      isHealthy: true,
      isReady: false,
      reasons: ['starting: opening the store'],
    });
  });

  it('is bad while it waits for NATS at its start', () => {
    const node = newNode();
    node.recovered(recovered());
    const { isHealthy, isReady, reasons } = node.health;
    assert.deepEqual([isHealthy, isReady], [false, false]);
    assert.match(String(reasons), /^no connection to NATS since [\d-]+T[\d:.]+Z$/);
  });

  it('is ready when clients are served, and again after a loss of NATS', () => {
    const node = newNode();
    node.recovered(recovered());
    for (let i = 0; i < 2; i++) {
      node.linkUp('h:1');
      assert.deepEqual([node.health.isHealthy, node.health.isReady], [true, false]);
      node.serving();
      assert.deepEqual(node.health, { isHealthy: true, isReady: true, reasons: [] });
      node.linkDown('gone');
      assert.deepEqual([node.health.isHealthy, node.health.isReady], [false, false]);
    }
    assert.equal(node.nats.losses, 2);
  });

  it('is good and not ready while it subscribes again', () => {
    const node = newNode();
    node.recovered(recovered());
    node.linkUp('h:1');
    node.serving();
    node.linkDown('gone');
    node.linkUp('h:2');
    assert.deepEqual(node.health, {
      isHealthy: true,
      isReady: false,
      reasons: ['subscribing in NATS again'],
    });
  });

  it('is good with a full store: reading and acknowledging go on, and it says so', () => {
    const node = newNode();
    node.recovered(recovered({ fullReason: 'no space left' }));
    node.linkUp('h:1');
    node.serving();
    assert.deepEqual(node.health, {
      isHealthy: true,
      isReady: true,
      reasons: ['store full, publishers get an error: no space left'],
    });
  });

  it('is good with a disk that does not keep up, and it says so', () => {
    const node = newNode();
    node.recovered(recovered({ pendingBytes: config.maxPendingBytes + 1 }));
    node.linkUp('h:1');
    node.serving();
    assert.match(
      String(node.health.reasons),
      /^the disk is slow, publishers get an error: \d+ bytes wait for it$/,
    );
    assert.equal(node.health.isReady, true);
  });

  it('is bad when it stops, and when it has failed', () => {
    const node = newNode();
    node.recovered(recovered());
    node.linkUp('h:1');
    node.serving();
    node.stopping();
    assert.deepEqual([node.health.isHealthy, node.health.isReady, node.state], [false, false, 'SHUTDOWN']);
    node.failed(new Error('EIO'));
    // Closing is part of failing.
    node.stopping();
    assert.deepEqual([node.health.reasons, node.state], [['failed: EIO'], 'FAILED']);
  });
});
