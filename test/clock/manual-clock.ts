import type { Clock, Timer } from '../../src/clock/clock.js';

/** A clock that stands still until it is told to move. */
export class ManualClock implements Clock {
  #nowMs = 0;
  readonly #timers = new Set<{ dueMs: number; callback: () => void }>();

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallNs(): bigint {
    return 1_700_000_000_000_000_000n + BigInt(Math.round(this.#nowMs * 1e6));
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const timer = { dueMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    return { cancel: () => this.#timers.delete(timer) };
  }

  /** Real timers that are waiting. */
  get timerCount(): number {
    return this.#timers.size;
  }

  /** Lets the time pass, running what becomes due in its order. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (;;) {
      let next: { dueMs: number; callback: () => void } | undefined;
      for (const timer of this.#timers) {
        if (timer.dueMs <= endMs && (next === undefined || timer.dueMs < next.dueMs)) next = timer;
      }
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.callback();
    }
    this.#nowMs = endMs;
  }

  /** The process was stopped: time passed, and nothing ran. */
  freeze(ms: number): void {
    this.#nowMs += ms;
  }
}
