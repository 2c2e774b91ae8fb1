import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { goesByItsOwnLease, simulateLoneToGroup } from './lone-to-group.js';

const SEEDS = 4;
const MUTANT_SEEDS = 2;

describe('a lone broker that is turned into a group', () => {
  it(`loses nothing, and is not thrown out while it lives, however slow it is for a moment, with ${SEEDS} seeds`, async () => {
    let refusals = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const result = await simulateLoneToGroup(seed);
      assert.deepEqual(result.violations, [], `seed ${seed}`);
      assert.deepEqual(result.loneEnds, [], `seed ${seed}`);
      assert.ok(result.acked > 100, `seed ${seed}: ${result.acked} acknowledged messages`);
      // Its own term, that of the group before it if there was one, and that of the group behind it.
      assert.equal(result.epoch, seed % 2 === 1 ? 3 : 2, `seed ${seed}`);
      refusals += result.refusals;
    }
    assert.ok(refusals > SEEDS, `members were refused ${refusals} times`);
  });

  it('would be thrown out by members that go by their own lease', async () => {
    let thrownOut = 0;
    for (let seed = 1; seed <= MUTANT_SEEDS; seed++) {
      const { loneEnds } = await simulateLoneToGroup(seed, { member: goesByItsOwnLease });
      if (loneEnds.length > 0) thrownOut++;
    }
    assert.equal(thrownOut, MUTANT_SEEDS);
  });
});
