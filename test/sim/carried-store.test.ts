import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runSeeds } from './crew.js';
import { Tally } from './tally.js';

const SEEDS = 12;

describe('a group that begins on a store of release 0.1.0', () => {
  it(`keeps what a takeover promises, with ${SEEDS} seeds of faults`, { timeout: 5 * 60_000 }, async () => {
    const tally = new Tally('update');
    const said: string[] = [];
    const seeds = Array.from({ length: SEEDS }, (_, i) => i + 1);
    await runSeeds(seeds, (report) => said.push(...tally.add(report)), 'update');
    assert.deepEqual(said, []);
    assert.ok(tally.takeovers > SEEDS, `${tally.takeovers} takeovers`);
    assert.ok(tally.acked > SEEDS * 100, `${tally.acked} acknowledged messages`);
  });
});
