import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NO_LIMITS } from '../broker/in-memory.js';
import { Cluster, type SimNode } from './cluster.js';
import { simulate } from './simulation.js';
import { World } from './world.js';

/** In which recoveries hang. */
const SEEDS = [16, 21, 44, 70];

describe('a successor whose data hang, while names do not', () => {
  it('gives the lease back to one that can read, writes nothing when it goes on, and may be active again then', async () => {
    const world = new World(1, true);
    const cluster = new Cluster(world, {
      nodes: 3,
      leaseMs: 600,
      storage: { isNetwork: true, cacheMs: 0, lostAnswers: 0, slowTails: 0 },
      limitsFor: () => NO_LIMITS,
      mutation: {},
    });
    const until = async (isDone: () => boolean): Promise<number> => {
      const begunMs = world.nowMs;
      await world.run(begunMs + 60_000, isDone);
      assert.ok(isDone(), world.trace.join('\n'));
      return world.nowMs - begunMs;
    };
    const recovering = (): SimNode | undefined =>
      cluster.nodes.find(({ isStarted, member }) => isStarted && member.role === 'recovering');
    /** Files that the term of epoch 2 has made. */
    const made = (): string[] =>
      [...cluster.disk.directories]
        .flatMap(([directory, { names }]) => [...names.keys()].map((name) => `${directory}/${name}`))
        .filter((path) => /\/00000002\.\d{6}\.(log|seg|ckpt)$/.test(path));

    for (const node of cluster.nodes) node.start();
    await until(() => cluster.active !== undefined);
    await until(() => cluster.nodes.every(({ member }) => ['active', 'standby'].includes(member.role)));
    const former = cluster.active!;
    former.kill(false);
    await until(() => recovering() !== undefined);
    const hung = recovering()!;
    hung.host.cutData();
    const outageMs = await until(() => cluster.active !== undefined);
    assert.ok(outageMs > 9_500 && outageMs < 12_000, `${outageMs} ms`);
    const successor = cluster.active!;
    assert.notEqual(successor, hung);
    assert.deepEqual([successor.member.epoch, hung.member.role], [3, 'standby']);
    assert.match(
      hung.member.health.problem ?? '',
      /recovering the store hung: \w+ of \/store\/\S+ has not ended/,
    );
    assert.ok(
      world.trace.some((line) =>
        / error: recovering the store in \/store hangs: .*Look at the mount/.test(line),
      ),
      world.trace.join('\n'),
    );

    // There is nobody else, and it takes nothing while it hangs.
    successor.kill(false);
    await world.run(world.nowMs + 20_000);
    assert.equal(hung.member.role, 'standby');
    hung.host.healData();
    const healedMs = await until(() => cluster.active === hung);
    assert.ok(healedMs < 1_000, `${healedMs} ms`);
    assert.deepEqual([made(), cluster.problems], [[], []]);
    assert.equal(hung.member.health.problem, undefined);
  });

  it('loses nothing, though other members take over and die meanwhile', {
    timeout: 10 * 60_000,
  }, async () => {
    const faults = { 'data hangs': 3, kill: 2, 'hand over': 3, pause: 1 };
    let hangs = 0;
    for (const seed of SEEDS) {
      const { violations, trace, acked } = await simulate(seed, {
        faults,
        faultsMs: [40_000, 60_000],
        isTraced: true,
      });
      assert.deepEqual(violations, [], `seed ${seed}`);
      assert.ok(acked > 100, `seed ${seed}: ${acked} acknowledged messages`);
      hangs += trace.filter((line) => / error: recovering the store in \S+ hangs/.test(line)).length;
    }
    assert.ok(hangs > 0, 'no recovery has hung');
  });
});
