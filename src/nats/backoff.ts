import type { Clock } from '../clock/clock.js';

const HOLD_MS = 60_000;

/** Waits between tries: longer each time, with jitter, and cut short by `wake`. */
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

  /** How many waits there were since the last `reset`. */
  get count(): number {
    return this.#tries;
  }

  reset(): void {
    this.#tries = 0;
  }

  /** Ends the current wait. */
  wake(): void {
    this.#wakeUp?.();
  }

  /** @param maxMs limit for this wait, instead of the usual one */
  wait(maxMs = this.#maxMs): Promise<void> {
    const fullMs = Math.min(maxMs, this.#firstMs * 2 ** Math.min(this.#tries, 30));
    this.#tries++;
    return new Promise((resolve) => {
      // The clock's timers do not keep the process alive, and during this wait there may be nothing else that does.
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
