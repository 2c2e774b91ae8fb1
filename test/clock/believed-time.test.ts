import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { BelievedTime, type ClockVerdict } from '../../src/clock/believed-time.js';
import type { Clock } from '../../src/clock/clock.js';

const START_MS = 1_700_000_000_000;
const HOUR_MS = 3_600_000;

describe('the time that is believed', () => {
  let wallMs: number;
  let monotonicMs: number;
  let sleptMs: number;
  let verdict: ClockVerdict;
  let said: string[];
  let time: BelievedTime;

  beforeEach(() => {
    wallMs = START_MS;
    monotonicMs = 0;
    sleptMs = 0;
    verdict = undefined;
    said = [];
    const clock: Clock = {
      monotonicMs: () => monotonicMs,
      uptimeMs: () => 5 * HOUR_MS + monotonicMs + sleptMs,
      wallNs: () => BigInt(wallMs) * 1_000_000n,
      setTimer: () => ({ cancel: () => {} }),
    };
    time = new BelievedTime({ clock, warn: (message) => said.push(message), verdict: () => verdict });
  });

  const pass = (ms: number): void => {
    wallMs += ms;
    monotonicMs += ms;
    time.look();
  };
  /** The wall clock alone. */
  const jump = (ms: number): void => {
    wallMs += ms;
    time.look();
  };

  it('is that of the clock, also of one that is corrected by a minute', () => {
    pass(10 * HOUR_MS);
    assert.equal(time.ms, START_MS + 10 * HOUR_MS);
    jump(60_000);
    assert.equal(time.ms, wallMs);
    jump(-60_000);
    assert.equal(time.ms, wallMs);
    assert.deepEqual(said, []);
  });

  it('goes on as before when the clock jumps forward, says so once, and follows it again when it is put right', () => {
    jump(2 * HOUR_MS);
    pass(1_000);
    pass(1_000);
    assert.equal(time.ms, START_MS + 2_000);
    assert.equal(time.doubtMs, 2 * HOUR_MS);
    assert.match(
      time.problem!,
      /the clock of this machine has jumped forward by 7200 s, and is not believed/,
    );
    jump(-2 * HOUR_MS);
    assert.equal(time.ms, wallMs);
    assert.equal(time.problem, undefined);
    assert.equal(said.length, 2);
    assert.match(said[0]!, /jumped forward by 7200 s while the broker was running.*Compare the clocks/);
    assert.match(said[1]!, /put back to where it was before it jumped/);
  });

  it('believes a clock that has jumped forward when others do', () => {
    jump(2 * HOUR_MS);
    verdict = 'right';
    pass(1);
    assert.equal(time.ms, wallMs);
    assert.equal(time.problem, undefined);
  });

  it('believes it after an hour if no other clock is known, and never while others differ', () => {
    jump(2 * HOUR_MS);
    verdict = 'wrong';
    pass(3 * HOUR_MS);
    assert.equal(time.doubtMs, 2 * HOUR_MS);
    verdict = undefined;
    pass(HOUR_MS - 1);
    assert.equal(time.doubtMs, 2 * HOUR_MS);
    pass(1);
    assert.equal(time.doubtMs, 0);
    jump(5 * HOUR_MS);
    pass(HOUR_MS - 1);
    assert.equal(time.doubtMs, 5 * HOUR_MS);
    pass(1);
    assert.equal(time.doubtMs, 0);
  });

  it('follows a clock that is set back, and forward again', () => {
    jump(-2 * HOUR_MS);
    assert.equal(time.ms, wallMs);
    jump(2 * HOUR_MS);
    assert.equal(time.ms, wallMs);
    assert.match(said.join(), /set back by 7200 s.*set forward again by 7200 s/s);
    // It had come back: this is another matter.
    jump(2 * HOUR_MS);
    assert.equal(time.doubtMs, 2 * HOUR_MS);
  });

  it('is that of the clock after the machine has slept', () => {
    pass(10 * HOUR_MS);
    sleptMs = 2 * HOUR_MS;
    jump(2 * HOUR_MS);
    assert.equal(time.ms, wallMs);
    assert.deepEqual(said, []);
    jump(2 * HOUR_MS);
    assert.equal(time.doubtMs, 2 * HOUR_MS);
  });

  it('counts what is left when a clock is put back by less than it has jumped', () => {
    jump(3 * HOUR_MS);
    jump(-HOUR_MS);
    assert.equal(time.doubtMs, 2 * HOUR_MS);
    assert.equal(time.ms, START_MS);
    jump(-4 * HOUR_MS);
    assert.equal(time.doubtMs, 0);
    assert.equal(time.ms, START_MS - 2 * HOUR_MS);
  });
});
