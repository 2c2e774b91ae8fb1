import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NO_LIMITS } from '../broker/in-memory.js';
import { Cluster } from './cluster.js';
import { Forger } from './forger.js';
import { simulate } from './simulation.js';
import { World } from './world.js';

const LEASE_MS = 3_000;

async function serving(): Promise<{ world: World; cluster: Cluster; forger: Forger }> {
  const world = new World(1, true);
  const cluster = new Cluster(world, {
    nodes: 3,
    leaseMs: LEASE_MS,
    waitsForNats: true,
    storage: { isNetwork: true, cacheMs: 0, lostAnswers: 0, slowTails: 0 },
    limitsFor: () => NO_LIMITS,
    mutation: {},
  });
  const forger = new Forger(cluster, 'g').listen();
  for (const node of cluster.nodes) node.start();
  await world.run(world.nowMs + 20_000);
  assert.ok(cluster.active !== undefined);
  return { world, cluster, forger };
}

describe('a group whose talk is recorded and said again', () => {
  it('replaces an active that has died as fast as ever, also where a standby was restarted since it was heard', async () => {
    const { world, cluster, forger } = await serving();
    const active = cluster.active!;
    const standby = cluster.nodes.find((node) => node !== active)!;
    active.kill(true);
    const diedMs = world.nowMs;
    // It has heard nothing, so that no number of a message is an old one for it.
    standby.kill(true);
    standby.start();
    const recorded = [...forger.recorded];
    const say = (): void => {
      for (const message of recorded.slice(-30)) forger.say(message);
      world.after(50, say);
    };
    say();
    await world.run(diedMs + 60_000, () => cluster.active !== undefined && cluster.active !== active);
    const tookMs = world.nowMs - diedMs;
    assert.ok(tookMs < 2 * LEASE_MS, `${tookMs} ms`);
    assert.deepEqual(cluster.problems, []);
  });

  it('goes on with its active, and with all members', async () => {
    const { world, cluster, forger } = await serving();
    const { active } = cluster;
    const recorded = [...forger.recorded];
    for (let i = 0; i < 200; i++) {
      for (const message of recorded.slice(i, i + 3)) forger.say(message);
      await world.run(world.nowMs + 50);
    }
    assert.equal(cluster.active, active);
    assert.equal(cluster.takeovers, 1);
    assert.ok(cluster.nodes.every(({ isStarted }) => isStarted));
  });
});

describe('a group in whose talk anyone joins, whatever else fails', () => {
  for (const seed of [3, 4]) {
    it(`loses nothing and goes on serving: seed ${seed}`, async () => {
      const { violations, faults } = await simulate(seed, {
        faults: {
          'forged talk': 20,
          kill: 2,
          'machine dies': 1,
          pause: 2,
          terminate: 1,
          'hand over': 1,
          'nats reset': 1,
        },
      });
      assert.deepEqual(violations, []);
      assert.equal(faults['forged talk'], 1);
    });
  }
});
