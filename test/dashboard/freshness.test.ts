import assert from 'node:assert/strict';
import { afterEach, before, beforeEach, describe, it, mock } from 'node:test';

interface Stale {
  isSilent: boolean;
  forMs: number;
  asOfMs: number | undefined;
}
interface Freshness {
  beat(): void;
  sample(): void;
}

describe('how a page of the dashboard knows that it is behind', () => {
  let Freshness: new (onStale: (stale: Stale) => void) => Freshness;
  let said: Stale[];
  let freshness: Freshness;

  before(async () => {
    // A script of the page, without types.
    const page = (await import('../../src/dashboard/page/freshness.js' as string)) as Record<string, never>;
    Freshness = page.Freshness!;
  });
  beforeEach(() => {
    mock.timers.enable({ apis: ['setInterval', 'Date'], now: 1_000_000 });
    said = [];
    freshness = new Freshness((stale) => said.push(stale));
  });
  afterEach(() => mock.timers.reset());

  // In steps: the date is that of the end of a tick.
  const pass = (ms: number): void => {
    for (let step = 0; step < ms; step += 500) mock.timers.tick(500);
  };

  it('says nothing while beats and samples come', () => {
    for (let i = 0; i < 20; i++) {
      pass(1_000);
      freshness.beat();
      if (i % 2 === 0) freshness.sample();
    }
    assert.deepEqual(said, []);
  });

  it('says after three seconds without a beat that there is no answer, and again as long as that lasts', () => {
    pass(1_000);
    freshness.sample();
    pass(3_000);
    assert.deepEqual(said, []);
    pass(1_000);
    assert.deepEqual(said, [
      { isSilent: true, forMs: 3_500, asOfMs: 1_001_000 },
      { isSilent: true, forMs: 4_000, asOfMs: 1_001_000 },
    ]);
    freshness.sample();
    pass(3_000);
    assert.equal(said.length, 2);
  });

  it('says that nothing new comes from a broker that beats and sends no samples', () => {
    freshness.sample();
    for (let i = 0; i < 9; i++) {
      pass(1_000);
      freshness.beat();
    }
    assert.deepEqual(said.at(-1), { isSilent: false, forMs: 9_000, asOfMs: 1_000_000 });
    assert.equal(said.length, 2);
  });

  it('knows no moment of which it shows anything before there was a sample', () => {
    pass(4_000);
    assert.deepEqual(said[0], { isSilent: true, forMs: 3_500, asOfMs: undefined });
  });
});
