import type { Clock } from '../clock/clock.js';
import type { LogFields, Logger } from './logger.js';

const DEFAULT_INTERVAL_MS = 10_000;
const MAX_KINDS = 256;
const OTHER_KINDS = 'other';

interface KindState {
  total: number;
  /** How many there were since the last line. */
  suppressed: number;
  /** Whether a line was written less than an interval ago. */
  isQuiet: boolean;
}

/**
 * Logs bad input, without letting its sender fill the log. The first input of a kind makes a line. Those that follow within the
 * interval are counted, and make one line at its end.
 *
 * A kind is a short text from the code, never from the input, so there are few.
 */
export class RateLimitedLog<Kind extends string = string> {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #kinds = new Map<string, KindState>();

  constructor(log: Logger, clock: Clock, intervalMs = DEFAULT_INTERVAL_MS) {
    this.#log = log;
    this.#clock = clock;
    this.#intervalMs = intervalMs;
  }

  /** Notes bad input. @param detail called only if a line is written */
  note(kind: Kind, detail?: () => LogFields): void {
    const state = this.#kinds.get(kind) ?? this.#add(kind);
    state.total++;
    if (state.isQuiet) {
      state.suppressed++;
      return;
    }
    this.#log.warn({ ...detail?.() }, kind);
    this.#beQuiet(kind, state);
  }

  /** How many there were of each kind since the start. */
  *counts(): IterableIterator<[kind: string, total: number]> {
    for (const [kind, state] of this.#kinds) yield [kind, state.total];
  }

  #add(kind: string): KindState {
    if (this.#kinds.size >= MAX_KINDS && kind !== OTHER_KINDS) {
      return this.#kinds.get(OTHER_KINDS) ?? this.#add(OTHER_KINDS);
    }
    const state = { total: 0, suppressed: 0, isQuiet: false };
    this.#kinds.set(kind, state);
    return state;
  }

  #beQuiet(kind: string, state: KindState): void {
    state.isQuiet = true;
    this.#clock.setTimer(this.#intervalMs, () => {
      if (state.suppressed === 0) {
        state.isQuiet = false;
        return;
      }
      this.#log.warn({ count: state.suppressed, withinMs: this.#intervalMs }, `${kind}: more of the same`);
      state.suppressed = 0;
      this.#beQuiet(kind, state);
    });
  }
}
