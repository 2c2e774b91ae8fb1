import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StoreFs } from '../../src/store/fs.js';
import { NO_LIMITS } from '../broker/in-memory.js';
import { failure } from '../store/sim-fs.js';
import { Cluster } from './cluster.js';
import { World } from './world.js';

/** Names can be changed, and files be made, but for those of this folder. */
function withoutRoomIn(folder: string, real: StoreFs, isFull: () => boolean): StoreFs {
  const open: StoreFs['open'] = async (path, mode) => {
    if (mode === 'create' && path.includes(`/${folder}/`) && isFull()) throw failure('ENOSPC', path);
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

/** A group whose active dies on a disk that is full in this folder, and stays so for minutes. */
async function dieOnFullDisk(folder: string): Promise<Cluster> {
  const world = new World(1);
  let isFull = false;
  const cluster = new Cluster(world, {
    nodes: 3,
    leaseMs: 600,
    storage: { isNetwork: false, cacheMs: 0, lostAnswers: 0, slowTails: 0 },
    limitsFor: () => NO_LIMITS,
    mutation: { fs: (real) => withoutRoomIn(folder, real, () => isFull) },
  });
  for (const node of cluster.nodes) node.start();
  await world.run(20_000, () => cluster.active !== undefined);
  const former = cluster.active;
  assert.ok(former !== undefined, 'one serves');
  isFull = true;
  former.kill(false);
  await world.run(250_000);
  assert.equal(cluster.active, undefined);
  isFull = false;
  return cluster;
}

describe('a takeover on a full disk', () => {
  it('is tried until there is room, and then done within seconds, however long that took', async () => {
    const cluster = await dieOnFullDisk('journal');
    const { world } = cluster;
    const roomMs = world.nowMs;
    await world.run(roomMs + 120_000, () => cluster.active !== undefined);
    assert.ok(world.nowMs - roomMs < 5_000, `served again ${world.nowMs - roomMs} ms after there was room`);
  });

  it('takes no epoch while there is no room for the lock of one', async () => {
    const cluster = await dieOnFullDisk('reign.locks');
    const { world } = cluster;
    await world.run(world.nowMs + 5_000, () => cluster.active !== undefined);
    assert.equal(cluster.active?.member?.epoch, 2);
  });
});
