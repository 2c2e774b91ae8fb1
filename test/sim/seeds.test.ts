import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runSeeds } from './crew.js';
import { simulate } from './simulation.js';
import { Tally } from './tally.js';

const SEEDS = 200;
/** They showed something once: what, stands in the commits that added them. */
const KEPT: readonly number[] = [588, 1106, 1288, 2923, 5054];

describe('a group in a simulated world', () => {
  it(`keeps what a takeover promises, with ${SEEDS} seeds of faults`, { timeout: 15 * 60_000 }, async () => {
    const tally = new Tally();
    const said: string[] = [];
    const seeds = [...KEPT, ...Array.from({ length: SEEDS }, (_, i) => i + 1)];
    await runSeeds(seeds, (report) => said.push(...tally.add(report)));
    assert.deepEqual(said, []);
    // It would keep everything if nothing happened.
    assert.ok(tally.takeovers > SEEDS, `${tally.takeovers} takeovers`);
    assert.ok(tally.acked > SEEDS * 100, `${tally.acked} acknowledged messages`);
  });

  it('goes the same way each time with the same seed', async () => {
    const first = await simulate(7, { isTraced: true });
    const second = await simulate(7, { isTraced: true });
    assert.ok(first.trace.length > 10);
    assert.deepEqual(second.trace, first.trace);
    assert.equal(second.eventCount, first.eventCount);
  });
});
