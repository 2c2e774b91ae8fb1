import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { knownStore, putGoStore } from '../../data/go-stores/known-stores.js';
import { KINDS } from '../../data/go-stores/scenario.js';
import { sourceOf } from './compare.js';
import { judge, type Outcome, stateText, type WholeStore } from './fuzz-case.js';

/** `STANCHION_FUZZ_CASES=20000` for a longer run, `STANCHION_FUZZ_SEED=N` for another beginning. */
const CASES = Number(process.env.STANCHION_FUZZ_CASES ?? 80);
const FIRST_SEED = Number(process.env.STANCHION_FUZZ_SEED ?? 1);
const MAX_GROWTH_BYTES = 200 * 1024 * 1024;

describe("a Go server's store with damage at random", () => {
  const root = mkdtempSync(join(tmpdir(), 'stanchion-go-fuzz-'));
  const stores: WholeStore[] = [];

  before(async () => {
    for (const kind of KINDS) {
      const dir = join(root, kind.name);
      putGoStore(kind, dir);
      const known = knownStore(kind);
      const state = stateText(await sourceOf(dir, kind, known).open());
      const files = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) =>
        statSync(join(dir, name)).isFile(),
      );
      stores.push({ kind, known, dir, files: files.sort(), state });
    }
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  it('is refused, or read with each loss told: no message is wrong, and memory stays bounded', async () => {
    const outcomes = new Map<Outcome, number>();
    const before = process.memoryUsage().rss;
    for (let seed = FIRST_SEED; seed < FIRST_SEED + CASES; seed++) {
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
