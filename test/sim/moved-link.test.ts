import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NO_LIMITS } from '../broker/in-memory.js';
import { SimClient, SimPublisher, SimSubscriber } from './clients.js';
import { Cluster } from './cluster.js';
import { Ledger } from './ledger.js';
import { World } from './world.js';

const [FIRST, SECOND, CLIENTS] = [0, 1, 2];
const ROUTE_MS = 300;

describe('a broker whose NATS server stops while what it sent is on its way over a slow route', () => {
  it('sends on from another server: the late messages come behind later ones, and each comes', async () => {
    const world = new World(1, true);
    const ledger = new Ledger(world);
    const cluster = new Cluster(world, {
      nodes: 1,
      leaseMs: 2_000,
      storage: { isNetwork: false, cacheMs: 0, lostAnswers: 0, slowTails: 0 },
      serversOf: () => [FIRST, SECOND],
      limitsFor: () => NO_LIMITS,
      mutation: {},
    });
    const { nats } = cluster;
    nats.stopServer(SECOND);
    cluster.nodes[0]?.start();
    await world.run(5_000, () => cluster.active !== undefined);
    nats.startServers();
    const client = (id: string): SimClient => new SimClient(nats, ledger, id, [CLIENTS]);
    const publisher = new SimPublisher(client('p'), {
      channels: ['a'],
      everyMs: 10,
      retryForMs: 8_000,
      payloadBytes: 10,
    });
    const subscriber = new SimSubscriber(client('s'), {
      channel: 'a',
      queueGroup: '',
      durableName: '',
      maxInFlight: 1_000,
      ackShare: 1,
    });
    const arrived: number[] = [];
    subscriber.onMessage = ({ sequence, redelivered }) => void (redelivered || arrived.push(sequence));
    await world.run(world.nowMs + 1_000);

    nats.slowRoute(FIRST, CLIENTS, ROUTE_MS);
    await world.run(world.nowMs + 2 * ROUTE_MS);
    nats.stopServer(FIRST);
    await world.run(world.nowMs + 2_000);
    publisher.isStopped = true;
    await world.run(world.nowMs + 5_000);

    const late = arrived.filter((sequence, i) => sequence < Math.max(...arrived.slice(0, i)));
    assert.ok(late.length > 0, 'something came late');
    assert.deepEqual(
      late,
      late.toSorted((a, b) => a - b),
    );
    assert.equal(new Set(arrived).size, arrived.length);
    assert.ok(publisher.acks > 100, `${publisher.acks} acks`);
    assert.ok(subscriber.got.size >= publisher.acks);
    assert.deepEqual(ledger.violations, []);
    assert.equal(cluster.takeovers, 1);
  });
});
