import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NO_LIMITS } from '../broker/in-memory.js';
import { SimClient, SimPublisher } from './clients.js';
import { Cluster } from './cluster.js';
import { Ledger } from './ledger.js';
import { simulate } from './simulation.js';
import type { OneWay } from './transport.js';
import { World } from './world.js';

/** From the moment at which a connection of the active carries one way only, to the first ack that follows. */
const MAX_OUTAGE_MS = 3_000;
const SEEDS = 5;

const CASES: readonly OneWay[] = [
  { on: 'data', way: 'send', isForNew: false },
  { on: 'data', way: 'send', isForNew: true },
  { on: 'data', way: 'receive', isForNew: false },
  { on: 'data', way: 'receive', isForNew: true },
  { on: 'talk', way: 'send', isForNew: true },
  { on: 'talk', way: 'receive', isForNew: true },
];

describe('an active with a connection that carries one way only', () => {
  for (const oneWay of CASES) {
    const { on, way, isForNew } = oneWay;
    it(`is replaced, or serves again, within ${MAX_OUTAGE_MS} ms: ${on}, ${way}${isForNew ? ', new ones too' : ''}`, async () => {
      const world = new World(1, true);
      const ledger = new Ledger(world);
      const cluster = new Cluster(world, {
        nodes: 3,
        leaseMs: 600,
        storage: { isNetwork: true, cacheMs: 0, lostAnswers: 0, slowTails: 0 },
        limitsFor: () => NO_LIMITS,
        mutation: {},
      });
      for (const node of cluster.nodes) node.start();
      await world.run(5_000, () => cluster.active !== undefined);
      await world.run(world.nowMs + 2_000);
      const publisher = new SimPublisher(new SimClient(cluster.nats, ledger, 'p'), {
        ...{ channels: ['a'], everyMs: 10, retryForMs: 60_000, payloadBytes: 10 },
      });
      await world.run(world.nowMs + 1_000);
      assert.ok(publisher.acks > 10, `${publisher.acks} acks`);

      const { active } = cluster;
      assert.ok(active !== undefined);
      active.transport.breakOneWay(oneWay);
      // Acks that are on their way, or whose publish was.
      await world.run(world.nowMs + 100);
      const { acks } = publisher;
      const sinceMs = world.nowMs;
      await world.run(sinceMs + 60_000, () => publisher.acks > acks);
      const outageMs = world.nowMs - sinceMs + 100;
      // Members that do not hear the active may leave it be, if clients do.
      assert.ok(outageMs <= MAX_OUTAGE_MS, `${outageMs} ms:\n${world.trace.join('\n')}`);

      active.transport.heal();
      await world.run(world.nowMs + 5_000);
      publisher.isStopped = true;
      await world.run(world.nowMs + 10_000, () => publisher.pendingCount === 0);
      assert.equal(publisher.pendingCount, 0);
      assert.deepEqual(ledger.violations, []);
    });
  }

  it(`loses nothing, with ${SEEDS} seeds of such connections among other faults`, {
    timeout: 300_000,
  }, async () => {
    const faults = { 'one way': 6, kill: 2, pause: 2, 'hand over': 2, 'nats reset': 1, strike: 2 };
    let count = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { violations, faults: seen } = await simulate(seed, { faults });
      assert.deepEqual(violations, [], `seed ${seed}`);
      count += seen['one way'] ?? 0;
    }
    assert.ok(count > SEEDS, `${count} such faults`);
  });
});
