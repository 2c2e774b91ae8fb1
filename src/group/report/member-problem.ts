import type { Clock } from '../../clock/clock.js';
import type { LogFields, Logger } from '../../log/logger.js';
import type { Bug } from '../../util/bug.js';

/** Least time between two log entries. */
const LOG_EVERY_MS = 10_000;

/** The problem that keeps a member from doing its part, for people. A later look at the store does not hide why a takeover has failed. */
export class MemberProblem {
  /** The problem that the last look at the store has found. */
  look: string | undefined;
  readonly #clock: Clock;
  readonly #log: Logger;
  #takeover: { readonly text: string; readonly sinceMs: number } | undefined;
  #loggedMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  get text(): string | undefined {
    return this.#takeover?.text ?? this.look;
  }

  /** Reports that the last look at the store has failed. */
  raise(text: string): void {
    this.look = text;
    this.#logNow(text);
  }

  /** Reports a bug of this program. */
  found(bug: Bug): void {
    this.look = bug.message;
    this.#logNow('a bug: something that the member does beside its broker has failed', { err: bug });
  }

  /** Reports that this member cannot take over, or has failed to. This stays until a member serves. */
  cannotTakeOver(text: string): void {
    this.#takeover = { text, sinceMs: this.#clock.monotonicMs() };
    this.#logNow(text);
  }

  /** Notes a sign that a member serves. @param signMs its time, in monotonic milliseconds */
  served(signMs: number): void {
    if (this.#takeover !== undefined && signMs > this.#takeover.sinceMs) this.#takeover = undefined;
  }

  #logNow(text: string, fields: LogFields = {}): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#loggedMs < LOG_EVERY_MS) return;
    this.#loggedMs = nowMs;
    this.#log.error(fields, text);
  }
}
