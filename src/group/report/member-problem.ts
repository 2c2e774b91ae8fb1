import type { Clock } from '../../clock/clock.js';
import type { LogFields, Logger } from '../../log/logger.js';
import type { Bug } from '../../util/bug.js';

/** Problems are logged once in this time. */
const LOG_EVERY_MS = 10_000;

/** What keeps a member from doing its part, for people. What a look at the store finds does not hide what a takeover has failed for. */
export class MemberProblem {
  /** What the last look has found. */
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

  /** The last look has failed. */
  raise(text: string): void {
    this.look = text;
    this.#tell(text);
  }

  /** Something has happened that only a mistake of the program leads to. */
  found(bug: Bug): void {
    this.look = bug.message;
    this.#tell('a bug: something that the member does beside its broker has failed', { err: bug });
  }

  /** This member cannot take over, or has failed to. That stays until somebody serves. */
  cannotTakeOver(text: string): void {
    this.#takeover = { text, sinceMs: this.#clock.monotonicMs() };
    this.#tell(text);
  }

  /** Somebody was seen to serve at `signMs`, monotonic milliseconds. */
  served(signMs: number): void {
    if (this.#takeover !== undefined && signMs > this.#takeover.sinceMs) this.#takeover = undefined;
  }

  #tell(text: string, fields: LogFields = {}): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#loggedMs < LOG_EVERY_MS) return;
    this.#loggedMs = nowMs;
    this.#log.error(fields, text);
  }
}
