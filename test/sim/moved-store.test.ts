import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StorePlace } from '../../src/lease/store-anchor.js';
import { NO_LIMITS } from '../broker/in-memory.js';
import { Cluster, type SimNode } from './cluster.js';
import { DIR, type Machine } from './machine.js';
import { World } from './world.js';

const LEASE_MS = 600;

/** A group that serves. What one of its machines finds at the path of the store is up to the test. */
class Group {
  readonly world = new World(1, true);
  readonly places = new Map<Machine, StorePlace>();
  readonly cluster = new Cluster(this.world, {
    nodes: 3,
    leaseMs: LEASE_MS,
    storage: { isNetwork: true, cacheMs: 0, lostAnswers: 0, slowTails: 0 },
    limitsFor: () => NO_LIMITS,
    mutation: {
      placeOfStore: (node) => {
        const place = this.places.get(node) ?? 'same';
        // Told once: the mount is known from then on.
        if (place === 'remounted') this.places.delete(node);
        return place;
      },
    },
  });

  static async serving(): Promise<{ group: Group; active: SimNode }> {
    const group = new Group();
    for (const node of group.cluster.nodes) node.start();
    await group.until(() => group.cluster.active !== undefined);
    await group.until(() =>
      group.cluster.nodes.every(({ member }) => ['active', 'standby'].includes(member.role)),
    );
    return { group, active: group.cluster.active! };
  }

  async until(isDone: () => boolean): Promise<void> {
    await this.world.run(this.world.nowMs + 60_000, isDone);
    assert.ok(isDone(), this.world.trace.join('\n'));
  }

  said(text: RegExp): boolean {
    return this.world.trace.some((line) => text.test(line));
  }

  get lease(): string {
    return [...this.cluster.disk.directories.get(`${DIR}/lease`)!.names.keys()].join();
  }
}

describe('a member whose store was replaced by another folder', () => {
  it('stops serving within a lease, gives nothing back there, and ends', async () => {
    const { group, active } = await Group.serving();
    const { world } = group;
    group.places.set(active, 'replaced');
    const replacedMs = world.nowMs;
    await group.until(() => !active.isStarted);
    assert.ok(world.nowMs - replacedMs < LEASE_MS, `${world.nowMs - replacedMs} ms`);
    assert.match(
      group.lease,
      new RegExp(`^v1\\.00000001\\.\\d+\\.served-1-\\d+\\.group-\\d+-g\\.${active.name}@`),
    );
    assert.ok(group.said(/ends: The store of group "g" has gone back: \/store here .* replaced by a copy/));
  });

  it('takes nothing over, and ends, if it is a standby', async () => {
    const { group, active } = await Group.serving();
    const [one, other] = group.cluster.nodes.filter((node) => node !== active) as [SimNode, SimNode];
    group.places.set(one, 'replaced');
    active.kill(false);
    await group.until(() => !one.isStarted);
    await group.until(() => group.cluster.active === other);
    assert.equal(group.said(new RegExp(` ${one.name}@.*taking over in epoch 2`)), false);
  });
});

describe('an active whose store has been mounted anew', () => {
  it('gives the lease back, since its open files are those of the former mount, and stays a member', async () => {
    const { group, active } = await Group.serving();
    group.places.set(active, 'remounted');
    await group.until(() => group.cluster.active !== undefined && group.cluster.active !== active);
    assert.ok(group.said(/the term of epoch 1 ends: \/store has been mounted anew/));
    assert.deepEqual([active.isStarted, active.member.role], [true, 'standby']);
    assert.deepEqual(group.cluster.problems, []);
  });
});
