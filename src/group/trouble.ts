import type { Clock } from '../clock/clock.js';
import type { Logger } from '../log/logger.js';

/** Troubles are logged once in this time. */
const TROUBLE_MS = 10_000;

/** What keeps a member from doing its part, for people. */
export class Trouble {
  text: string | undefined;
  readonly #clock: Clock;
  readonly #log: Logger;
  #loggedMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  raise(text: string): void {
    this.text = text;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#loggedMs < TROUBLE_MS) return;
    this.#loggedMs = nowMs;
    this.#log.error({}, text);
  }
}
