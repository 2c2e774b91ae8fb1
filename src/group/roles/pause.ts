import type { Clock } from '../../clock/clock.js';

/** Where a member waits for time to pass, or for news. It waits for one thing at a time. */
export class Pause {
  readonly #clock: Clock;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ends early when there is news. */
  pass(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(ms, resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  /** There is news. */
  wake(): void {
    this.#wake?.();
  }
}
