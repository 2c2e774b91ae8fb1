import type { Clock } from '../clock/clock.js';

const HOLD_MS = 60_000;

/** Waits between tries: longer each time, never quite the same, and over at once when there is news. */
export class Backoff {
  #tries = 0;
  #wakeUp: (() => void) | undefined;

  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #firstMs: number;
  readonly #maxMs: number;

  constructor(clock: Clock, random: () => number, firstMs: number, maxMs: number) {
    this.#clock = clock;
    this.#random = random;
    this.#firstMs = firstMs;
    this.#maxMs = maxMs;
  }

  /** Tries since the last `reset`. */
  get count(): number {
    return this.#tries;
  }

  reset(): void {
    this.#tries = 0;
  }

  /** Ends a wait that is on. */
  wake(): void {
    this.#wakeUp?.();
  }

  /** @param maxMs another limit for this wait */
  wait(maxMs = this.#maxMs): Promise<void> {
    const fullMs = Math.min(maxMs, this.#firstMs * 2 ** Math.min(this.#tries, 30));
    this.#tries++;
    return new Promise((resolve) => {
      // The clock's timers do not keep the process alive, and in this wait nothing else may.
      const hold = setInterval(() => {}, HOLD_MS);
      const done = () => {
        clearInterval(hold);
        timer.cancel();
        this.#wakeUp = undefined;
        resolve();
      };
      const timer = this.#clock.setTimer(fullMs * (0.5 + this.#random() / 2), done);
      this.#wakeUp = done;
    });
  }
}
