import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RenewalPace } from '../../src/lease/renewal-pace.js';

const LOCAL_MS = 0.01;
const MOUNT_MS = 0.7;

/** One renewal after the other, by whichever thread is to. @returns how many of them the event loop waited for */
function renew(pace: RenewalPace, tookMs: (i: number) => number, count: number, fromMs = 0): number {
  let waited = 0;
  let nowMs = fromMs;
  for (let i = 0; i < count; i++) {
    const mayWait = pace.mayWait(nowMs);
    if (mayWait) waited++;
    nowMs += tookMs(i);
    pace.add(tookMs(i), mayWait, nowMs);
  }
  return waited;
}

describe('the event loop waits for renewals', () => {
  it('on a local disk, after the first ones', () => {
    assert.equal(
      renew(new RenewalPace(), () => LOCAL_MS, 1_000),
      990,
    );
  });

  it('on a local disk of a busy machine, where some take long', () => {
    const waited = renew(new RenewalPace(), (i) => (i % 8 === 7 ? 0.3 : LOCAL_MS), 1_000);
    assert.ok(waited > 950, `${waited} of 1000`);
  });

  it('never on a network mount', () => {
    assert.equal(
      renew(new RenewalPace(), () => MOUNT_MS, 1_000),
      0,
    );
  });

  it('no more on a disk that has become slow', () => {
    const pace = new RenewalPace();
    renew(pace, () => LOCAL_MS, 1_000);
    const waited = renew(pace, () => 5, 1_000, 10);
    assert.ok(waited < 10, `${waited} of 1000`);
  });

  it('for a small part of its time, if some are very slow', () => {
    const pace = new RenewalPace();
    let [nowMs, waitedMs] = [0, 0];
    for (let i = 0; i < 10_000; i++) {
      const tookMs = i % 50 === 0 ? 20 : LOCAL_MS;
      const mayWait = pace.mayWait(nowMs);
      if (mayWait) waitedMs += tookMs;
      nowMs += tookMs + 0.2;
      pace.add(tookMs, mayWait, nowMs);
    }
    assert.ok(waitedMs < nowMs / 10, `${waitedMs} of ${nowMs} ms`);
  });
});
