// A clock whose time can be skipped, and whose timers can all be ended: `SkippingClock`.

import type { Clock, Timer } from '../../clock/clock.js';

interface Pending {
  readonly dueMs: number;
  readonly callback: () => void;
  readonly timer: Timer;
}

/** A clock that runs as another one, ahead of it by what was skipped. */
export class SkippingClock implements Clock {
  readonly #inner: Clock;
  readonly #pending = new Set<Pending>();
  #skippedMs = 0;
  #isStopped = false;

  constructor(inner: Clock) {
    this.#inner = inner;
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#pending.size;
  }

  monotonicMs(): number {
    return this.#inner.monotonicMs() + this.#skippedMs;
  }

  wallNs(): bigint {
    return this.#inner.wallNs() + BigInt(Math.round(this.#skippedMs * 1e6));
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    if (this.#isStopped) return { cancel: () => {} };
    const pending: Pending = {
      dueMs: this.monotonicMs() + delayMs,
      callback,
      timer: this.#inner.setTimer(delayMs, () => {
        if (this.#pending.delete(pending)) callback();
      }),
    };
    this.#pending.add(pending);
    return { cancel: () => this.#drop(pending) };
  }

  /** Skips this time: timers that it makes due run now. */
  skip(ms: number): void {
    this.#skippedMs += ms;
    const nowMs = this.monotonicMs();
    for (const pending of [...this.#pending]) {
      if (pending.dueMs > nowMs || !this.#pending.has(pending)) continue;
      this.#drop(pending);
      pending.callback();
    }
  }

  /** Ends all timers. None is set any more. */
  stop(): void {
    this.#isStopped = true;
    for (const pending of this.#pending) pending.timer.cancel();
    this.#pending.clear();
  }

  #drop(pending: Pending): void {
    pending.timer.cancel();
    this.#pending.delete(pending);
  }
}
