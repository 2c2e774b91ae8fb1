import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StoreFs } from '../../src/files/fs.js';
import { NO_LIMITS } from '../broker/in-memory.js';
import { failure } from '../store/sim-fs.js';
import { Cluster } from './cluster.js';
import { World } from './world.js';

/** Names can be changed, and files be made, but for those whose path has this in it. @param code why not, undefined if they can be made now */
function withoutFilesIn(folder: string, real: StoreFs, code: () => string | undefined): StoreFs {
  const open: StoreFs['open'] = async (path, mode) => {
    const reason = code();
    if (mode === 'create' && path.includes(folder) && reason !== undefined) throw failure(reason, path);
    return real.open(path, mode);
  };
  return new Proxy(real, {
    get: (target, name) => {
      if (name === 'open') return open;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

interface FullDisk {
  cluster: Cluster;
  /** There is room again. */
  empty(): void;
}

/** A group on a disk that gets full in this folder so long after somebody has begun to serve. */
async function fullAfter(ms: number, folder: string): Promise<FullDisk> {
  const world = new World(1);
  let isFull = false;
  const cluster = new Cluster(world, {
    nodes: 3,
    leaseMs: 600,
    storage: { isNetwork: false, cacheMs: 0, lostAnswers: 0, slowTails: 0 },
    limitsFor: () => NO_LIMITS,
    mutation: { fs: (real) => withoutFilesIn(folder, real, () => (isFull ? 'ENOSPC' : undefined)) },
  });
  for (const node of cluster.nodes) node.start();
  await world.run(20_000, () => cluster.active !== undefined);
  await world.run(world.nowMs + ms);
  isFull = true;
  return {
    cluster,
    empty: () => {
      isFull = false;
    },
  };
}

/** Kills the active. @returns how long nobody serves, at most `mostMs` */
async function kill(cluster: Cluster, mostMs: number): Promise<number> {
  const { world, active } = cluster;
  assert.ok(active !== undefined, 'one serves');
  const killedMs = world.nowMs;
  active.kill(false);
  await world.run(killedMs + mostMs, () => cluster.active !== undefined && cluster.active !== active);
  return world.nowMs - killedMs;
}

describe('a takeover on a full disk', () => {
  it('needs no room if some was set aside before, twice in a row and again, though none comes back', async () => {
    const { cluster } = await fullAfter(5_000, '');
    const { world } = cluster;
    for (let round = 1; round <= 2; round++) {
      for (const _ of [1, 2]) {
        const former = cluster.active;
        assert.ok(
          (await kill(cluster, 10_000)) < 2_000,
          `round ${round}: ${world.trace.slice(-20).join('\n')}`,
        );
        former?.start();
      }
      // Checkpoints, for which there is no room either.
      await world.run(world.nowMs + 10_000);
    }
    assert.deepEqual(cluster.problems, []);
  });

  it('is tried until there is room, if none was set aside, and then done within seconds', async () => {
    const { cluster, empty } = await fullAfter(0, '/journal/');
    const { world } = cluster;
    await kill(cluster, 250_000);
    assert.equal(cluster.active, undefined);
    empty();
    const roomMs = world.nowMs;
    await world.run(roomMs + 120_000, () => cluster.active !== undefined);
    assert.ok(world.nowMs - roomMs < 5_000, `served again ${world.nowMs - roomMs} ms after there was room`);
  });

  it('does not wait for room for the lock of its epoch', async () => {
    const { cluster } = await fullAfter(0, '/lease.locks/');
    assert.ok((await kill(cluster, 10_000)) < 2_000);
    assert.equal(cluster.active?.member?.epoch, 2);
  });
});

describe('a takeover where no lock can be made though there is room', () => {
  it('is done all the same, each by one, and each member says once what is wrong', async () => {
    const world = new World(1, true);
    const cluster = new Cluster(world, {
      nodes: 3,
      leaseMs: 600,
      storage: { isNetwork: true, cacheMs: 0, lostAnswers: 0, slowTails: 0 },
      limitsFor: () => NO_LIMITS,
      mutation: { fs: (real) => withoutFilesIn('/lease.locks/', real, () => 'EACCES') },
    });
    for (const node of cluster.nodes) node.start();
    await world.run(20_000, () => cluster.active !== undefined);
    for (let round = 0; round < 10; round++) {
      const former = cluster.active;
      assert.ok(former !== undefined, world.trace.join('\n'));
      if (round === 0) former.kill(false);
      else former.process.deliver(() => void former.member.handOver());
      const isDone = (): boolean => cluster.active !== undefined && cluster.active !== former;
      await world.run(world.nowMs + 10_000, isDone);
      // The other one has to be heard as a standby before it can be given anything.
      await world.run(world.nowMs + 2_000);
    }
    assert.deepEqual(cluster.problems, []);
    assert.equal(cluster.active?.member.epoch, 11);
    for (const { name } of cluster.nodes) {
      const said = world.trace.filter(
        (line) => / warn: .*lease\.locks cannot be used/.test(line) && line.includes(` ${name}@`),
      );
      assert.equal(said.length, 1, `${name}: ${said.join('\n')}`);
      assert.match(said[0]!, /: EACCES.* Make it a folder in which this process can make folders/);
    }
  });
});
