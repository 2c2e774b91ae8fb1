import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DisputeStatus } from '../../src/group/watch/dispute-status.js';
import { NO_LIMITS } from '../broker/in-memory.js';
import { Cluster } from './cluster.js';
import { World } from './world.js';

const LEASE_MS = 3_000;
const CUT_OFF_MS = 5 * LEASE_MS;
const MINUTE_MS = 60_000;

/** Two members at one NATS server, two at another one, with no route between. All have the same store. */
class TwoClusters {
  readonly world = new World(1, true);
  readonly cluster = new Cluster(this.world, {
    nodes: 4,
    leaseMs: LEASE_MS,
    storage: { isNetwork: true, cacheMs: 0, lostAnswers: 0, slowTails: 0 },
    serversOf: (node) => [sideOf(node)],
    limitsFor: () => NO_LIMITS,
    mutation: {},
  });

  constructor() {
    this.cluster.nats.cutRoute(0, 1);
    for (const node of this.cluster.nodes) node.start();
  }

  /** When somebody began to serve. */
  get takeoversMs(): number[] {
    return this.#lines(/ is active, /).map((line) => Number.parseFloat(line));
  }

  get errors(): string[] {
    return this.#lines(/ error: /);
  }

  /** What a status says of the dispute, by node. */
  get disputes(): Record<string, DisputeStatus | undefined> {
    return Object.fromEntries(this.cluster.nodes.map(({ name, member }) => [name, member.dispute]));
  }

  async pass(minutes: number): Promise<void> {
    await this.world.run(this.world.nowMs + minutes * MINUTE_MS);
  }

  #lines(pattern: RegExp): string[] {
    return this.world.trace.filter((line) => pattern.test(line));
  }
}

function sideOf(node: string): number {
  return node < 'n2' ? 0 : 1;
}

describe('a group whose members are attached to two NATS clusters', () => {
  it('changes sides ever more rarely, and says why', async () => {
    const group = new TwoClusters();
    await group.pass(40);
    const [first, ...others] = group.takeoversMs;
    const gapsMs = others.map((atMs, i) => atMs - (others[i - 1] ?? first!));
    const looksMs = LEASE_MS / 2;
    const isAbout = (gapMs: number, wantedMs: number): boolean =>
      gapMs >= wantedMs && gapMs < wantedMs * 1.05 + looksMs;
    // A cut-off active may be behind the first ones: those are not waited for longer.
    for (const gapMs of gapsMs.slice(0, 4)) assert.ok(isAbout(gapMs, CUT_OFF_MS), `${gapMs} ms`);
    for (const [i, gapMs] of gapsMs.entries()) {
      const turns = Math.max(0, Math.floor((i - 2) / 2));
      assert.ok(isAbout(gapMs, Math.min(5 * MINUTE_MS, CUT_OFF_MS * 2 ** turns)), `${i}: ${gapMs} ms`);
    }
    assert.ok(gapsMs.at(-1)! >= 5 * MINUTE_MS, 'it has got to the bound');
    // Each member, each time.
    assert.ok(group.errors.length > 8, `${group.errors.length} errors`);
    for (const node of ['n0', 'n1', 'n2', 'n3']) {
      const said = group.errors.find((line) => line.includes(` ${node}@`)) ?? 'nothing';
      const side = sideOf(node);
      assert.match(said, /do not hear each other over NATS: for the 2nd time the lease has gone back to one/);
      assert.match(said, side === 0 ? /n[23] \(host host-n[23], / : /n[01] \(host host-n[01], /);
      assert.match(said, new RegExp(`This member is at NATS server nats-${side}:4222`));
      assert.match(said, /Attach all members to one NATS cluster: compare --nats-server/);
    }
  });

  it('is shown by each member as long as it lasts, by the active too: with whom, since when, how often', async () => {
    const group = new TwoClusters();
    await group.pass(10);
    const wallMs = Number(group.cluster.nodes[0]!.process.clock.wallNs() / 1_000_000n);
    for (const [node, dispute] of Object.entries(group.disputes)) {
      assert.ok(dispute !== undefined, `${node} knows of it`);
      const { rivals, rounds, epoch, sinceWallMs, waitMs } = dispute;
      const others = sideOf(node) === 0 ? ['n2', 'n3'] : ['n0', 'n1'];
      for (const rival of rivals) {
        assert.ok(others.includes(rival.node), `${rival.node} is on the other side of ${node}`);
        assert.deepEqual([rival.host, rival.pid], [`host-${rival.node}`, 1]);
      }
      assert.ok(rounds >= 2 && epoch >= 4 && waitMs > CUT_OFF_MS, JSON.stringify(dispute));
      // Their wall clocks are a minute apart at most.
      const forMs = wallMs - sinceWallMs;
      assert.ok(forMs > 6 * MINUTE_MS && forMs < 12 * MINUTE_MS, `since ${forMs} ms`);
    }
    group.cluster.nats.healRoutes();
    await group.pass(1);
    assert.deepEqual(Object.values(group.disputes), [undefined, undefined, undefined, undefined]);
  });

  it('replaces an active that has died at once, however long it has been so', async () => {
    const group = new TwoClusters();
    const { world, cluster } = group;
    await group.pass(30);
    const former = cluster.active!;
    former.kill(true);
    const diedMs = world.nowMs;
    await world.run(diedMs + MINUTE_MS, () => cluster.active !== undefined);
    assert.ok(world.nowMs - diedMs < 2 * LEASE_MS, `${world.nowMs - diedMs} ms`);
  });

  it('is one group when the two are joined', async () => {
    const group = new TwoClusters();
    await group.pass(10);
    group.cluster.nats.healRoutes();
    await group.pass(1);
    const { length } = group.takeoversMs;
    const said = group.errors.length;
    await group.pass(20);
    assert.deepEqual([group.takeoversMs.length, group.errors.length], [length, said]);
  });
});
