import type { Clock } from '../clock/clock.js';
import type { Logger } from '../log/logger.js';

/** An outage that lasts is told of again so often. */
const REMINDER_MS = 5 * 60_000;
/** Reasons that are remembered in one outage. */
const MAX_REASONS = 20;

/** Logs why NATS can't be reached: each reason once in an outage, and a reminder from time to time. */
export class OutageLog {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #reasons = new Set<string>();
  #tries = 0;
  #sinceMs = 0;
  #toldMs = 0;

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  /** @param reason of all servers that were tried, in words */
  failed(servers: string, reason: string): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#tries++ === 0) this.#sinceMs = nowMs;
    const isNew = !this.#reasons.has(reason) && this.#reasons.size < MAX_REASONS;
    if (isNew) this.#reasons.add(reason);
    else if (nowMs - this.#toldMs < REMINDER_MS) return;
    this.#toldMs = nowMs;
    const forMs = Math.round(nowMs - this.#sinceMs);
    this.#logger.warn(
      { servers, reason, tries: this.#tries, forMs },
      'cannot connect to NATS: trying again, and silent about it until something changes',
    );
  }

  /** @returns tries that failed before */
  succeeded(): number {
    const tries = this.#tries;
    this.#tries = 0;
    this.#reasons.clear();
    return tries;
  }
}
