import type { Clock } from '../../clock/clock.js';

/** Lets a member wait for a time, or for news. Only one wait is possible at a time. */
export class Pause {
  readonly #clock: Clock;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Waits, and ends early when there is news. */
  pass(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(ms, resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  /** Ends the wait, since there is news. */
  wake(): void {
    this.#wake?.();
  }
}
