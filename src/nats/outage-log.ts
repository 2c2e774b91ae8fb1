import type { Clock } from '../clock/clock.js';
import type { Logger } from '../log/logger.js';

/** Time between reminders of a long outage. */
const REMINDER_MS = 5 * 60_000;
/** Limit of different reasons that are logged in one outage. */
const MAX_REASONS = 20;

/** Logs why NATS cannot be reached: each reason once per outage, and a reminder now and then. */
export class OutageLog {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #reasons = new Set<string>();
  #tries = 0;
  #sinceMs = 0;
  #loggedMs = 0;

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  /** Notes a failed try. @param reason why each of the servers failed, in words */
  failed(servers: string, reason: string): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#tries++ === 0) this.#sinceMs = nowMs;
    const isNew = !this.#reasons.has(reason) && this.#reasons.size < MAX_REASONS;
    if (isNew) this.#reasons.add(reason);
    else if (nowMs - this.#loggedMs < REMINDER_MS) return;
    this.#loggedMs = nowMs;
    const forMs = Math.round(nowMs - this.#sinceMs);
    this.#logger.warn(
      { servers, reason, tries: this.#tries, forMs },
      'cannot connect to NATS: trying again, without another log entry until the reason changes',
    );
  }

  /** Ends the outage. @returns how many tries have failed */
  succeeded(): number {
    const tries = this.#tries;
    this.#tries = 0;
    this.#reasons.clear();
    return tries;
  }
}
