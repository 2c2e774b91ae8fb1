import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { NO_CHANNEL } from '../../src/dedup/guid-generation.js';
import { GUID_MEMORY_MS, MAX_CHECKPOINT_GUIDS, RecentGuids } from '../../src/dedup/recent-guids.js';
import { BrokenInvariant } from '../../src/util/assert.js';

const START_MS = 1_700_000_000_000;

function has(guids: RecentGuids, session: number, guid: string, channel = 1): boolean {
  const bytes = Buffer.from(guid);
  return guids.has(session, channel, bytes, 0, bytes.length);
}

/** @returns whether it was new */
function store(guids: RecentGuids, session: number, guid: string, channel = 1, ms = START_MS): boolean {
  const bytes = Buffer.from(`..${guid}.`);
  if (guids.has(session, channel, bytes, 2, bytes.length - 1)) return false;
  guids.add(session, channel, 2, bytes.length - 1, ms);
  return true;
}

describe('recent guids', () => {
  it('a guid is known in its session and channel', () => {
    const guids = new RecentGuids(1);
    assert.equal(store(guids, 1, 'a', 7), true);
    assert.equal(store(guids, 1, 'a', 7), false);
    assert.equal(store(guids, 1, 'a', 8), true);
    for (const channel of [7, 8]) assert.equal(has(guids, 1, 'a', channel), true);
    for (const channel of [9, NO_CHANNEL]) assert.equal(has(guids, 1, 'a', channel), false);
    assert.equal(has(guids, 2, 'a', 7), false);
    assert.equal(has(guids, 1, 'aa'), false);
    assert.equal(has(guids, 1, ''), false);
  });

  it('a guid is added only after it was found to be new, and once', () => {
    const guids = new RecentGuids(1);
    assert.throws(() => guids.add(1, 1, 0, 1, START_MS), BrokenInvariant);
    assert.equal(has(guids, 1, 'a'), false);
    assert.throws(() => guids.add(2, 1, 0, 1, START_MS), BrokenInvariant);
    guids.add(1, 1, 0, 1, START_MS);
    assert.throws(() => guids.add(1, 1, 0, 1, START_MS), BrokenInvariant);
    assert.equal(has(guids, 1, 'a'), true);
    assert.throws(() => guids.add(1, 1, 0, 1, START_MS), BrokenInvariant);
    assert.equal(guids.size, 1);
  });

  it('a guid of more than 255 bytes is not kept', () => {
    const guids = new RecentGuids(1);
    assert.equal(store(guids, 1, 'g'.repeat(255)), true);
    assert.equal(store(guids, 1, 'g'.repeat(255)), false);
    assert.equal(store(guids, 1, 'g'.repeat(256)), true);
    assert.equal(store(guids, 1, 'g'.repeat(256)), true);
  });

  it('at the bound, half of it and more is remembered: the newest', () => {
    const bound = 8192;
    const guids = new RecentGuids(1, bound);
    for (let i = 0; i < 10 * bound; i++) {
      assert.equal(store(guids, i % 3, `guid-${i}`), true);
      assert.ok(guids.size <= bound);
      const back = i - Math.min(i, bound / 2 - 1);
      assert.ok(has(guids, back % 3, `guid-${back}`), `${back} is known at ${i}`);
    }
    assert.equal(has(guids, 0, 'guid-0'), false);
  });

  it('a guid that is larger than all others of its publisher is new, and one between them is looked for', () => {
    const guids = new RecentGuids(1);
    const nuid = (n: number, prefix = 'PPPPPPPPPPPP'): string => prefix + String(n).padStart(10, '0');
    for (const n of [5, 10, 300, 100_000]) assert.equal(store(guids, 1, nuid(n)), true);
    for (const n of [5, 10, 300, 100_000]) assert.equal(store(guids, 1, nuid(n)), false, `${n}`);
    // In another channel it is new, though it is not larger.
    assert.equal(store(guids, 1, nuid(300), 2), true);
    assert.equal(store(guids, 1, nuid(300), 2), false);
    for (const n of [0, 7, 299, 99_999]) assert.equal(store(guids, 1, nuid(n)), true);
    for (const n of [0, 7, 299, 99_999]) assert.equal(store(guids, 1, nuid(n)), false);
    // Another prefix of the same publisher, then the first again; another publisher with the same guids.
    assert.equal(store(guids, 1, nuid(1, 'QQQQQQQQQQQQ')), true);
    assert.equal(store(guids, 1, nuid(1, 'QQQQQQQQQQQQ')), false);
    assert.equal(store(guids, 1, nuid(0, 'QQQQQQQQQQQQ')), true);
    assert.equal(store(guids, 1, nuid(100_000)), false);
    assert.equal(store(guids, 2, nuid(10)), true);
    // Bytes beyond ASCII are in some order too.
    for (const text of ['é', '\u007f', 'ÿ', 'a'])
      assert.equal(
        store(guids, 3, `PPPPPPPPPPPP${text.repeat(5)}`.padEnd(text > '\u007f' ? 17 : 22, '-')),
        true,
      );
    for (const text of ['é', '\u007f', 'ÿ', 'a'])
      assert.equal(
        store(guids, 3, `PPPPPPPPPPPP${text.repeat(5)}`.padEnd(text > '\u007f' ? 17 : 22, '-')),
        false,
      );
  });

  it('guids longer than usual are fewer, within the same memory', () => {
    const guids = new RecentGuids(1, 8192);
    for (let i = 0; i < 50_000; i++) store(guids, 1, `${i}`.padStart(255, '.'));
    assert.ok(guids.size > 400 && guids.size < 2000, `${guids.size}`);
    assert.ok(has(guids, 1, '49999'.padStart(255, '.')));
  });

  it('what is older than the time is forgotten, and only that', () => {
    const guids = new RecentGuids(1);
    const times = new Map<string, number>();
    for (let i = 0; i < 5000; i++) {
      const ms = START_MS + i * 500;
      store(guids, 1, `guid-${i}`, 1, ms);
      times.set(`guid-${i}`, ms);
      if (i % 50 !== 0) continue;
      for (const [guid, at] of times) {
        if (ms - at <= GUID_MEMORY_MS) assert.ok(has(guids, 1, guid), guid);
        if (ms - at > 3 * GUID_MEMORY_MS) {
          assert.ok(!has(guids, 1, guid), guid);
          times.delete(guid);
        }
      }
    }
  });

  it('holds exactly what a map holds, whatever comes', () => {
    const step = fc.record({
      session: fc.integer({ min: 0, max: 3 }),
      channel: fc.integer({ min: 1, max: 3 }),
      guid: fc.oneof(
        fc.string({ minLength: 1, maxLength: 6, unit: fc.constantFrom('a', 'b', '\0') }),
        fc.integer({ min: 0, max: 5000 }).map((n) => `guid-${n}`),
        // As clients make them: a prefix, and a number that mostly grows.
        fc
          .tuple(fc.constantFrom('AAAAAAAAAAAA', 'zzzzzzzzzzzz'), fc.integer({ min: 0, max: 3000 }))
          .map(([prefix, n]) => `${prefix}${String(n).padStart(10, '0')}`),
      ),
      times: fc.integer({ min: 1, max: 600 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.integer(), (steps, seed) => {
        const guids = new RecentGuids(seed);
        const model = new Set<string>();
        for (const { session, channel, guid, times } of steps) {
          for (let i = 0; i < times; i++) {
            const name = i === 0 ? guid : `${guid}${i}`;
            const key = `${session}${channel}${name}`;
            assert.equal(store(guids, session, name, channel), !model.has(key));
            model.add(key);
          }
        }
        assert.equal(guids.size, model.size);
        for (const key of model) {
          assert.ok(has(guids, Number(key[0]), key.slice(2), Number(key[1])));
        }
      }),
      { numRuns: 100 },
    );
  });

  it('survive a checkpoint: the newest, with their sessions and channels', () => {
    const guids = new RecentGuids(1);
    const total = 3 * MAX_CHECKPOINT_GUIDS;
    for (let i = 0; i < total; i++) store(guids, i % 5, `guid-${i}`, 1 + (i % 7), START_MS + (i >> 8));
    const runs = guids.runs();
    const after = new RecentGuids(2);
    for (const run of runs) after.restoreRun(run);
    assert.ok(after.size >= MAX_CHECKPOINT_GUIDS);
    assert.ok(after.size < MAX_CHECKPOINT_GUIDS + 1024);
    for (let i = total - after.size; i < total; i++) {
      assert.ok(has(after, i % 5, `guid-${i}`, 1 + (i % 7)), `${i}`);
      assert.ok(!has(after, i % 5, `guid-${i}`, 8), `${i}`);
    }
  });

  it('survive a checkpoint as long as they are promised to: none of the newest and none of two minutes is missing', () => {
    const known = (total: number, msOf: (i: number) => number): number => {
      const guids = new RecentGuids(1);
      for (let i = 0; i < total; i++) store(guids, 1, `guid-${i}`, 1, msOf(i));
      const after = new RecentGuids(2);
      for (const run of guids.runs()) after.restoreRun(run);
      let oldest = total;
      while (oldest > 0 && has(after, 1, `guid-${oldest - 1}`)) oldest--;
      return total - oldest;
    };
    for (const more of [1, 300, 1023, 1024, 70_000]) {
      const newest = known(MAX_CHECKPOINT_GUIDS + more, () => START_MS);
      assert.ok(newest >= MAX_CHECKPOINT_GUIDS, `${newest} of ${MAX_CHECKPOINT_GUIDS + more}`);
    }
    for (const stepMs of [7, 90, 999]) {
      const steps = Math.floor(GUID_MEMORY_MS / stepMs);
      const newest = known(3 * steps, (i) => START_MS + i * stepMs);
      assert.ok(newest > steps, `${newest} of ${steps}, one each ${stepMs} ms`);
    }
  });

  it('too old ones are in no checkpoint', () => {
    const guids = new RecentGuids(1);
    store(guids, 1, 'old', 1, START_MS);
    store(guids, 1, 'young', 1, START_MS + GUID_MEMORY_MS + 1000);
    const after = new RecentGuids(1);
    for (const run of guids.runs()) after.restoreRun(run);
    assert.deepEqual([has(after, 1, 'old'), has(after, 1, 'young')], [false, true]);
  });

  it('are in each checkpoint as they are, also those that came since the one before', () => {
    const guids = new RecentGuids(1);
    const nuid = (i: number): string => `PPPPPPPPPPPP${String(i).padStart(10, '0')}`;
    let bytes = 0;
    for (let i = 0; i < 20_000; i++) {
      store(guids, i % 3, nuid(i), 1 + (i % 2), START_MS + (i >> 4));
      if (i % 3000 !== 2999) continue;
      const after = new RecentGuids(2);
      bytes = 0;
      for (const run of guids.runs()) {
        after.restoreRun(run);
        bytes += run.packed.length;
      }
      assert.equal(after.size, i + 1);
      for (let j = 0; j <= i; j++) {
        assert.ok(has(after, j % 3, nuid(j), 1 + (j % 2)), `${j} at ${i}`);
        assert.ok(!has(after, j % 3, nuid(j), 3), `${j} at ${i}`);
      }
    }
    // Each takes 31 bytes in memory.
    assert.ok(bytes < 5 * 20_000, `${bytes} bytes`);
  });

  it('that are not whole are refused', () => {
    const guids = new RecentGuids(1);
    store(guids, 1, 'guid');
    for (const run of guids.runs()) {
      for (let cut = 0; cut < run.packed.length; cut++) {
        const packed = run.packed.subarray(0, cut);
        assert.throws(() => new RecentGuids(1).restoreRun({ ...run, packed }), RangeError);
      }
    }
  });
});
