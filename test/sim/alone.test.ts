import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Lease } from '../../src/lease/lease.js';
import { type LeaseState, sameLease } from '../../src/lease/lease-state.js';
import { NO_LIMITS } from '../broker/in-memory.js';
import { SimClient, SimPublisher } from './clients.js';
import { runSeeds } from './crew.js';
import { Ledger } from './ledger.js';
import { LoneBrokers } from './lone.js';
import { DIR, type Mutation } from './machine.js';
import type { StorageKind } from './mount.js';
import { MUTANTS } from './mutants.js';
import { simulateAlone } from './simulation.js';
import { Tally } from './tally.js';
import { World } from './world.js';

const SEEDS = 24;
const MAX_MUTANT_SEEDS = 40;
/** A file server that loses the answer to each twentieth change of a name. */
const FORGETFUL: StorageKind = { isNetwork: true, cacheMs: 3_000, lostAnswers: 0.05, slowTails: 0 };
const SERVED_MS = 20_000;

describe('brokers without a group, in a simulated world', () => {
  it(`keep what they acknowledged, one at a time, with ${SEEDS} seeds of faults`, async () => {
    const tally = new Tally('alone');
    const said: string[] = [];
    const seeds = Array.from({ length: SEEDS }, (_, i) => i + 1);
    await runSeeds(seeds, (report) => said.push(...tally.add(report)), 'alone');
    assert.deepEqual(said, []);
    // They would keep everything if nothing happened.
    assert.ok(tally.takeovers > SEEDS, `${tally.takeovers} times one has begun to serve`);
    assert.ok(tally.acked > SEEDS * 100, `${tally.acked} acknowledged messages`);
  });

  it('serve on when answers to renewals are lost, again and again', async () => {
    const { ends, acks, lostAnswers } = await serveForgetfully({});
    assert.deepEqual(ends, []);
    assert.ok(lostAnswers > 10, `${lostAnswers} answers were lost`);
    assert.ok(acks > 100, `${acks} acknowledged messages`);
  });

  it('would end by their own name if they took a lost answer for a lost lease', async () => {
    const { ends, problems } = await serveForgetfully(takesLostAnswersForLost);
    assert.match(ends[0] ?? 'nothing', /The lease has been taken over by n0@/);
    assert.match(problems[0] ?? 'nothing', /n0@\S+ ends: .*taken over by n0@/);
  });

  it('would speak beside a successor if they went by a clock', async (t) => {
    const mutant = MUTANTS['a lease by the clock instead of the fence'];
    assert.ok(mutant !== undefined);
    for (let seed = 1; seed <= MAX_MUTANT_SEEDS; seed++) {
      const { violations } = await simulateAlone(seed, {
        mutation: mutant.make(),
        faults: { freeze: 1 },
        endsAtViolation: true,
      });
      if (violations.length === 0) continue;
      t.diagnostic(`with seed ${seed}: ${violations[0]}`);
      return;
    }
    assert.fail(`none of ${MAX_MUTANT_SEEDS} seeds shows that anything is wrong`);
  });
});

/** One broker, and one publisher, on storage that loses answers, and nothing else goes wrong. */
async function serveForgetfully(
  mutation: Mutation,
): Promise<{ ends: string[]; problems: string[]; acks: number; lostAnswers: number }> {
  const world = new World(1);
  const brokers = new LoneBrokers(world, { storage: FORGETFUL, limitsFor: () => NO_LIMITS, mutation }, 1);
  const ledger = new Ledger(world);
  for (const node of brokers.nodes) node.start();
  const publisher = new SimPublisher(new SimClient(brokers.nats, ledger, 'p'), {
    channels: ['a'],
    everyMs: 20,
    retryForMs: 8_000,
    payloadBytes: 50,
  });
  await world.run(SERVED_MS, () => brokers.ends.length > 0);
  assert.deepEqual(ledger.violations, []);
  return {
    ends: brokers.ends.map(({ error }) => error.message),
    problems: brokers.problems,
    acks: publisher.acks,
    lostAnswers: world.faults['lost answer'] ?? 0,
  };
}

/** The lease as it was once: a look after a rename whose answer was lost says nothing. */
const takesLostAnswersForLost: Mutation = {
  lease: (_, { mount }) => new UnresolvingLease(mount, DIR),
};

class UnresolvingLease extends Lease {
  #unanswered: LeaseState | undefined;

  override async renew(known: LeaseState, batch?: number): Promise<LeaseState | 'lost'> {
    const next = await super.renew(known, batch);
    if (next === 'lost') this.#unanswered = { ...known, counter: known.counter + 1 };
    return next;
  }

  override async read(): Promise<LeaseState> {
    const found = await super.read();
    const isUnanswered = this.#unanswered !== undefined && sameLease(found, this.#unanswered);
    return isUnanswered ? { ...found, counter: found.counter + 1 } : found;
  }
}
