import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NO_LIMITS } from '../broker/in-memory.js';
import { Cluster, type SimNode } from './cluster.js';
import { World } from './world.js';

const LEASE_MS = 600;

/** A group that serves. Of each lock it is known how its holder is told that it has lost it. */
class Group {
  readonly world = new World(1, true);
  readonly #onLost = new Map<string, (error: Error) => void>();
  readonly cluster = new Cluster(this.world, {
    nodes: 3,
    leaseMs: LEASE_MS,
    storage: { isNetwork: true, cacheMs: 0, lostAnswers: 0, slowTails: 0 },
    limitsFor: () => NO_LIMITS,
    mutation: {
      lock: (real, node) => (epoch, onLost) => {
        this.#onLost.set(`${node.name} ${epoch}`, (error) => node.process.deliver(() => onLost?.(error)));
        return real(epoch);
      },
    },
  });

  static async serving(): Promise<{ group: Group; active: SimNode }> {
    const group = new Group();
    for (const node of group.cluster.nodes) node.start();
    await group.until(() => group.cluster.active !== undefined);
    return { group, active: group.cluster.active! };
  }

  /** What `proper-lockfile` does when it finds its folder gone. A process that stands still is told as soon as it goes on. */
  loseLock(node: SimNode, epoch: number): void {
    this.#onLost.get(`${node.name} ${epoch}`)!(new Error('ENOENT: no such file or directory, stat'));
  }

  async until(isDone: () => boolean): Promise<void> {
    await this.world.run(this.world.nowMs + 60_000, isDone);
    assert.ok(isDone(), this.world.trace.join('\n'));
  }

  /** What a node has said of the end of its term. */
  ends(node: SimNode): string[] {
    return this.world.trace.filter(
      (line) => line.includes(` ${node.name}@`) && line.includes('the term of epoch'),
    );
  }
}

describe('an active whose lock is gone', () => {
  it('names the member that has taken the lease, also if it hears of the lock first', async () => {
    const { group, active } = await Group.serving();
    active.process.pauseNow('stopped');
    // Nothing comes to it before this.
    group.loseLock(active, 1);
    await group.until(() => group.cluster.nodes.some(({ member }) => member.epoch === 2));
    await group.until(() =>
      group.cluster.nodes.some(({ member }) => member.role === 'active' && member !== active.member),
    );
    const successor = group.cluster.nodes.find(
      ({ member }) => member.role === 'active' && member !== active.member,
    )!;
    active.process.resume();
    await group.until(() => active.member.role === 'standby');
    const [end, ...others] = group.ends(active);
    assert.match(
      end ?? 'nothing',
      new RegExp(
        `the term of epoch 1 ends: The lease has been taken over by ${successor.name}@\\S+ in epoch 2`,
      ),
    );
    assert.deepEqual(others, []);
    assert.deepEqual(active.member.termsEnded, { handover: 0, lost: 1, failed: 0 });
    assert.deepEqual(group.cluster.problems, []);
  });

  it('steps down and says what is wrong if no member has taken the lease, and another one serves', async () => {
    const { group, active } = await Group.serving();
    group.loseLock(active, 1);
    await group.until(() => active.member.role === 'standby');
    await group.until(() => group.cluster.active !== undefined);
    assert.match(
      group.ends(active)[0] ?? 'nothing',
      /ends: the lock of epoch 1 is no longer its own, though no member has taken the lease: ENOENT.* Another program seems to change what is in \/store\/lease\.locks:/,
    );
    assert.deepEqual(active.member.termsEnded, { handover: 0, lost: 0, failed: 1 });
    assert.notEqual(group.cluster.active, active);
  });
});
