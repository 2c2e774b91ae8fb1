import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CLOCK_TOLERANCE_MS } from '../../src/clock/believed-time.js';
import { NO_LIMITS } from '../broker/in-memory.js';
import { SimClient, SimPublisher } from './clients.js';
import { Cluster, type SimNode } from './cluster.js';
import { Faults, type FaultWeights } from './faults.js';
import { Ledger } from './ledger.js';
import { World } from './world.js';

const LEASE_MS = 3_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const MAX_AGE_MS = 10 * MINUTE_MS;
/** Clocks that are as near as this are taken for equal, and a look is taken each second. */
const SLACK_MS = CLOCK_TOLERANCE_MS + 30_000;
const SEEDS = [2, 3];

const NONE: FaultWeights = {
  kill: 0,
  'machine dies': 0,
  pause: 0,
  freeze: 0,
  strike: 0,
  terminate: 0,
  'hand over': 0,
  'nats reset': 0,
  'nats silent': 0,
  'one way': 0,
  'nats server stops': 0,
  'route cut': 0,
  'storage hangs': 0,
  'storage slow': 0,
  'data slow': 0,
  'data hangs': 0,
  'write error': 0,
  'disk full': 0,
  'wall clock jumps': 0,
  'clock wrong': 0,
  'power loss': 0,
  'forged talk': 0,
};

/** A group with a limit on age, a publisher, and what has become of each message by the true time. */
class AgeingGroup {
  readonly world: World;
  readonly cluster: Cluster;
  readonly publisher: SimPublisher;
  readonly problems: string[] = [];
  /** When each message was seen first. */
  readonly #bornMs: number[] = [];
  #dropped = 0;

  constructor(seed: number) {
    const world = new World(seed, true);
    this.world = world;
    this.cluster = new Cluster(world, {
      nodes: 3,
      leaseMs: LEASE_MS,
      storage: { isNetwork: true, cacheMs: 0, lostAnswers: 0, slowTails: 0 },
      waitsForNats: true,
      limitsFor: () => ({ ...NO_LIMITS, maxAgeMs: MAX_AGE_MS }),
      mutation: {},
    });
    for (const node of this.cluster.nodes) node.start();
    const client = new SimClient(this.cluster.nats, new Ledger(world), 'p');
    this.publisher = new SimPublisher(client, {
      channels: ['a'],
      everyMs: 2_000,
      retryForMs: 60_000,
      payloadBytes: 20,
    });
    this.#watch();
  }

  get dropped(): number {
    return this.#dropped;
  }

  async serving(): Promise<SimNode> {
    const { world, cluster } = this;
    await world.run(world.nowMs + MINUTE_MS, () => cluster.active !== undefined);
    assert.ok(cluster.active !== undefined, world.trace.slice(-50).join('\n'));
    return cluster.active;
  }

  async pass(ms: number): Promise<void> {
    await this.world.run(this.world.nowMs + ms);
  }

  #watch(): void {
    this.world.after(1_000, () => this.#watch());
    const log = this.cluster.active?.member.broker?.channels.get('a')?.log;
    if (log === undefined) return;
    const { nowMs } = this.world;
    for (let sequence = this.#bornMs.length + 1; sequence <= log.lastSequence; sequence++)
      this.#bornMs.push(nowMs);
    for (; this.#dropped < log.firstSequence - 1; this.#dropped++) {
      const ageMs = nowMs - (this.#bornMs[this.#dropped] ?? 0);
      if (ageMs < MAX_AGE_MS - SLACK_MS)
        this.#problem(`message ${this.#dropped + 1} was dropped at ${ageMs} ms`);
    }
    const headMs = nowMs - (this.#bornMs[log.firstSequence - 1] ?? nowMs);
    // In doubt a message counts from the last takeover on.
    if (headMs > 2 * MAX_AGE_MS + SLACK_MS)
      this.#problem(`message ${log.firstSequence} is kept at ${headMs} ms`);
  }

  #problem(text: string): void {
    if (this.problems.length < 5) this.problems.push(`at ${this.world.nowMs}: ${text}`);
  }
}

describe('a group with a limit on age, and wrong clocks', () => {
  it('deletes nothing too early when a member takes over whose clock is two hours ahead, and says whose it is', async () => {
    const group = new AgeingGroup(1);
    const { cluster, world } = group;
    const former = await group.serving();
    await group.pass(5 * MINUTE_MS);
    for (const node of cluster.nodes) {
      if (node === former) continue;
      node.setClockWrong(2 * HOUR_MS);
      node.kill(false);
      node.start();
    }
    await group.pass(MINUTE_MS);
    former.kill(true);
    const successor = await group.serving();
    assert.notEqual(successor, former);
    await group.pass(20 * MINUTE_MS);
    assert.deepEqual(group.problems, []);
    assert.ok(group.dropped > 100, `${group.dropped} messages were dropped`);
    former.start();
    await group.pass(10_000);
    const line = world.trace.find((text) => text.includes(` ${former.name}@`) && /ahead of that/.test(text));
    assert.match(
      line ?? world.trace.join('\n'),
      /the clock of node n\d is 7[12]\d\d s ahead of that of this machine/,
    );
    assert.match(former.member.clocks.problems.join(), /the clock of node n\d is 7[12]\d\d s ahead/);
  });

  it('goes by the time that passes, whatever the clocks of its members do', async () => {
    for (const seed of SEEDS) {
      const group = new AgeingGroup(seed);
      await group.serving();
      const weights = { ...NONE, 'clock wrong': 4, terminate: 1, 'hand over': 1, pause: 1 };
      const faults = new Faults(group.cluster, weights, 20_000);
      for (let minutes = 0; minutes < 40; minutes += 5) {
        await group.pass(4.5 * MINUTE_MS);
        const killed = await group.serving();
        killed.kill(true);
        // Long enough for another one to be next: who starts alone, under a wrong clock, can't know.
        await group.pass(30_000);
        if (killed.process.isDead) killed.start();
      }
      faults.heal();
      await group.pass(MINUTE_MS);
      assert.deepEqual(group.problems, [], `seed ${seed}`);
      assert.ok(group.dropped > 200, `${group.dropped} messages were dropped`);
      assert.ok((group.world.faults['clock wrong'] ?? 0) > 10, JSON.stringify(group.world.faults));
      assert.ok(group.cluster.takeovers > 5, `${group.cluster.takeovers} takeovers`);
    }
  });
});
