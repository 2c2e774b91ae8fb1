import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { judge, type Outcome, type WholeStore, wholeStores } from './fuzz-case.js';

/** `npm run fuzz:go-files` runs more. */
const CASES = 80;
const MAX_GROWTH_BYTES = 200 * 1024 * 1024;

describe("a Go server's store with damage at random", () => {
  const root = mkdtempSync(join(tmpdir(), 'stanchion-go-fuzz-'));
  const stores: WholeStore[] = [];

  before(async () => {
    stores.push(...(await wholeStores(root)));
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  it('is refused, or read with each loss told: no message is wrong, and memory stays bounded', async () => {
    const outcomes = new Map<Outcome, number>();
    const before = process.memoryUsage().rss;
    for (let seed = 1; seed <= CASES; seed++) {
      const store = stores[seed % stores.length];
      assert.ok(store);
      const outcome = await judge(store, seed);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    const growth = process.memoryUsage().rss - before;
    assert.ok(growth < MAX_GROWTH_BYTES, `memory has grown by ${growth} bytes`);
    // Each of them happens, or the judge is blind.
    for (const outcome of ['refused', 'as before', 'told loss'] as const)
      assert.ok((outcomes.get(outcome) ?? 0) > 0, `${outcome}: ${JSON.stringify([...outcomes])}`);
  });
});
