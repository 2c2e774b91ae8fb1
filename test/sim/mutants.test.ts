import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MUTANTS } from './mutants.js';
import { simulate } from './simulation.js';

const MAX_SEEDS = 80;

describe('the simulation notices', () => {
  for (const [name, { make, faults, traffic }] of Object.entries(MUTANTS)) {
    it(name, { timeout: 10 * 60_000 }, async (t) => {
      for (let seed = 1; seed <= MAX_SEEDS; seed++) {
        const { violations } = await simulate(seed, {
          mutation: make(),
          faults,
          traffic,
          endsAtViolation: true,
        });
        if (violations.length === 0) continue;
        t.diagnostic(`with seed ${seed}: ${violations[0]}`);
        // Traffic of its own must show nothing by itself.
        if (traffic !== undefined)
          assert.deepEqual((await simulate(seed, { faults, traffic })).violations, []);
        return;
      }
      assert.fail(`none of ${MAX_SEEDS} seeds shows that anything is wrong`);
    });
  }
});
