import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as settled } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { TimerWheel, type WheelTimer } from '../../src/clock/timer-wheel.js';
import { ManualClock } from './manual-clock.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

class Probe implements WheelTimer {
  dueTick = -1;
  firedAtMs: number[] = [];
  onTimer(nowMs: number): void {
    this.firedAtMs.push(nowMs);
  }
}

describe('the timer wheel', () => {
  it('fires each timer once, not before its time and at most two ticks after it, however far ahead it is', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 200_000 }), { maxLength: 50 }), (delaysMs) => {
        const clock = new ManualClock();
        const wheel = new TimerWheel(clock, 10);
        const probes = delaysMs.map((delayMs) => {
          const probe = new Probe();
          wheel.arm(probe, delayMs);
          return probe;
        });
        clock.advance(201_000);
        for (const [i, probe] of probes.entries()) {
          assert.equal(probe.firedAtMs.length, 1);
          const lateMs = probe.firedAtMs[0]! - delaysMs[i]!;
          assert.ok(lateMs >= 0 && lateMs <= 20, `fired ${lateMs} ms after its time`);
        }
        assert.equal(clock.timerCount, 0);
      }),
      { numRuns: 50 },
    );
  });

  it('holds one real timer whatever is armed', () => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    for (let i = 0; i < 1000; i++) wheel.arm(new Probe(), 100 + i);
    assert.equal(clock.timerCount, 1);
  });

  it('moves a timer that is armed again, and forgets one that is disarmed', () => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    const moved = new Probe();
    const gone = new Probe();
    wheel.arm(moved, 50);
    wheel.arm(moved, 500);
    wheel.arm(gone, 50);
    wheel.disarm(gone);
    clock.advance(400);
    assert.deepEqual(moved.firedAtMs, []);
    clock.advance(200);
    assert.equal(moved.firedAtMs.length, 1);
    assert.deepEqual(gone.firedAtMs, []);
  });

  it('runs in the order of their times what became due while the process was stopped', () => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    const order: string[] = [];
    const add = (name: string, delayMs: number): void =>
      wheel.arm({ dueTick: -1, onTimer: () => order.push(name) } as WheelTimer, delayMs);
    add('third', 30_000);
    add('first', 100);
    add('second', 15_000);
    clock.freeze(60_000);
    clock.advance(60_000);
    assert.deepEqual(order, ['first', 'second', 'third']);
  });

  it('lets a timer arm itself and disarm another while it fires', () => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    const other = new Probe();
    let fired = 0;
    const self: WheelTimer = {
      dueTick: -1,
      onTimer() {
        wheel.disarm(other);
        if (++fired < 3) wheel.arm(self, 10);
      },
    };
    wheel.arm(self, 10);
    wheel.arm(other, 11);
    clock.advance(1000);
    assert.equal(fired, 3);
    assert.deepEqual(other.firedAtMs, []);
  });

  it('gives way after some milliseconds when thousands are due at once, and fires them all in their order', () => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    const order: number[] = [];
    const count = 2_000;
    for (let i = 0; i < count; i++) {
      const timer: WheelTimer = {
        dueTick: -1,
        onTimer() {
          // Each takes a millisecond.
          clock.freeze(1);
          order.push(i);
        },
      };
      wheel.arm(timer, 100);
    }
    const seen: number[] = [];
    const look = (): void => {
      seen.push(order.length);
      clock.setTimer(1, look);
    };
    clock.setTimer(1, look);
    clock.advance(10_000);
    assert.deepEqual(order, [...order.keys()]);
    assert.equal(order.length, count);
    const atOnce = seen.map((fired, i) => fired - (seen[i - 1] ?? 0));
    assert.ok(Math.max(...atOnce) <= 6, `${Math.max(...atOnce)} fired without a look at what else was due`);
  });

  it('does not fire a timer that is disarmed or moved while it waits for its slice', () => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    const slow: WheelTimer = { dueTick: -1, onTimer: () => clock.freeze(50) };
    const gone = new Probe();
    const moved = new Probe();
    for (const timer of [slow, gone, moved]) wheel.arm(timer, 10);
    clock.setTimer(11, () => {
      wheel.disarm(gone);
      wheel.arm(moved, 1_000);
    });
    clock.advance(2_000);
    assert.deepEqual(gone.firedAtMs, []);
    assert.equal(moved.firedAtMs.length, 1);
    assert.ok((moved.firedAtMs[0] ?? 0) >= 1_000);
  });

  it('keeps nothing of a timer that has had its turn, though others have waited for theirs ever since', async () => {
    const clock = new ManualClock();
    const wheel = new TimerWheel(clock);
    const busy: WheelTimer[] = Array.from({ length: 10 }, () => ({
      dueTick: -1,
      onTimer() {
        clock.freeze(5);
        wheel.arm(this, 10);
      },
    }));
    const arm = (): WeakRef<WheelTimer> => {
      const timer = new Probe();
      for (const each of [timer, ...busy]) wheel.arm(each, 10);
      return new WeakRef(timer);
    };
    const fired = arm();
    clock.advance(10_000);
    for (let i = 0; i < 10 && fired.deref() !== undefined; i++) {
      await settled();
      collectGarbage();
    }
    assert.equal(fired.deref(), undefined);
  });
});
