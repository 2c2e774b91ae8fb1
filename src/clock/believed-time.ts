// Believed time: the time of day with doubts about a clock that jumps.

import type { Clock } from './clock.js';

/** Clocks that differ by no more than this count as the same. */
export const CLOCK_TOLERANCE_MS = 120_000;
/** A clock that has jumped forward is believed after this time if no other member can judge it. */
const HOLD_MS = 3_600_000;

/** What other members say of this machine's clock; undefined if none can judge it. */
export type ClockVerdict = 'right' | 'wrong' | undefined;

export interface BelievedTimeOptions {
  clock: Clock;
  /** Logs that the clock of the machine has jumped, or is believed again. */
  warn: (message: string) => void;
  /** Called while the machine's clock is ahead of the believed time. Without it no other member can judge the clock. */
  verdict?: (() => ClockVerdict) | undefined;
}

/**
 * The time of day, as far as this process believes its machine's clock. A clock that jumps forward while the process runs is not
 * believed at once: time goes on at the pace of the monotonic clock until the clock is set right, other members say that it is right,
 * or an hour has passed. A clock that jumps back is believed, since an earlier time deletes nothing.
 */
export class BelievedTime {
  /** Nanoseconds since 1970, as of the last look. */
  ns: bigint;
  readonly #options: BelievedTimeOptions;
  /** How far the machine's clock is ahead of the believed time. */
  #doubtMs = 0;
  #doubtSinceMs = 0;
  /** How far the clock has been set back since the start. A jump forward by no more than this is believed. */
  #setBackMs = 0;
  #lookedMs: number;
  /** How long the machine has slept since it started. */
  #sleptMs: number | undefined;

  constructor(options: BelievedTimeOptions) {
    this.#options = options;
    this.ns = options.clock.wallNs();
    this.#lookedMs = options.clock.monotonicMs();
    this.#sleptMs = sleepOf(options.clock);
  }

  /** Milliseconds since 1970, as of the last look. */
  get ms(): number {
    return Number(this.ns / 1_000_000n);
  }

  /** How far the machine's clock is ahead of the believed time, in milliseconds. */
  get doubtMs(): number {
    return this.#doubtMs;
  }

  /** The problem with the machine's clock, for people. */
  get problem(): string | undefined {
    if (this.#doubtMs === 0) return undefined;
    return `the clock of this machine has jumped forward by ${seconds(this.#doubtMs)}, and is not believed: the broker goes on with the time from before. Put it right (timedatectl, or date -u)`;
  }

  /** Doubts the clock from the start: it has gone on by so much more than the time that has passed since a broker ran on this machine. */
  doubt(byMs: number): void {
    this.#doubtMs += byMs;
    this.#doubtSinceMs = this.#lookedMs;
    this.ns -= nanoseconds(byMs);
    this.#options.warn(
      `The clock of this machine has jumped forward by ${seconds(byMs)} while no broker was running: the machine has not counted that much time since its start. ${DOUBTED}`,
    );
  }

  /** Reads the clocks. Call it at least every few seconds. */
  look(): void {
    const { clock } = this.#options;
    const wallNs = clock.wallNs();
    const nowMs = clock.monotonicMs();
    const expectedNs = wallNs - nanoseconds(this.#doubtMs);
    const carriedNs = this.ns + nanoseconds(nowMs - this.#lookedMs);
    const stepMs = Number(expectedNs - carriedNs) / 1e6;
    this.#lookedMs = nowMs;
    if (stepMs > CLOCK_TOLERANCE_MS) {
      if (!this.#hasSlept(stepMs)) this.#jumpedForward(stepMs, nowMs);
    } else if (stepMs < -CLOCK_TOLERANCE_MS) this.#jumpedBack(-stepMs);
    if (this.#doubtMs > 0) this.#ask(nowMs);
    this.ns = wallNs - nanoseconds(this.#doubtMs);
  }

  /** Whether the machine has slept: then the monotonic clock has stood still, and the wall clock has not. */
  #hasSlept(ms: number): boolean {
    const formerMs = this.#sleptMs;
    this.#sleptMs = sleepOf(this.#options.clock);
    if (formerMs === undefined || this.#sleptMs === undefined) return false;
    return Math.abs(this.#sleptMs - formerMs - ms) <= CLOCK_TOLERANCE_MS;
  }

  #jumpedForward(byMs: number, nowMs: number): void {
    const { warn } = this.#options;
    if (byMs <= this.#setBackMs + CLOCK_TOLERANCE_MS) {
      this.#setBackMs = Math.max(0, this.#setBackMs - byMs);
      warn(`The clock of this machine, which was set back, has been set forward again by ${seconds(byMs)}`);
      return;
    }
    this.#doubtMs += byMs;
    this.#doubtSinceMs = nowMs;
    warn(
      `The clock of this machine has jumped forward by ${seconds(byMs)} while the broker was running. ${DOUBTED}`,
    );
  }

  #jumpedBack(byMs: number): void {
    const { warn } = this.#options;
    const undoneMs = Math.min(byMs, this.#doubtMs);
    const isRight = this.#doubtMs > 0 && this.#doubtMs - undoneMs <= CLOCK_TOLERANCE_MS;
    this.#doubtMs = isRight ? 0 : this.#doubtMs - undoneMs;
    const backMs = byMs - undoneMs;
    if (backMs > CLOCK_TOLERANCE_MS) {
      this.#setBackMs += backMs;
      warn(
        `The clock of this machine has been set back by ${seconds(backMs)} while the broker was running. Timestamps never go back within a channel: ` +
          'one with later messages repeats the last until the clock has caught up. Limits on age and start times go by the time that passes, ' +
          'whatever the clock says. Compare the clocks of all members (timedatectl, or date -u)',
      );
    } else if (isRight)
      warn('The clock of this machine has been put back to where it was before it jumped, and is believed');
    else
      warn(
        `The clock of this machine has been put back by ${seconds(byMs)}, and is ${seconds(this.#doubtMs)} ahead still`,
      );
  }

  #ask(nowMs: number): void {
    const { verdict, warn } = this.#options;
    const answer = verdict?.();
    if (answer === 'wrong') this.#doubtSinceMs = nowMs;
    if (answer !== 'right' && nowMs - this.#doubtSinceMs < HOLD_MS) return;
    const why =
      answer === 'right'
        ? 'other members agree with it'
        : 'it has stayed so for an hour, and no member disagrees';
    warn(
      `The clock of this machine, which jumped forward by ${seconds(this.#doubtMs)}, is believed now: ${why}`,
    );
    this.#doubtMs = 0;
  }
}

const DOUBTED =
  'It is not believed: messages bear the time as it went on from before, until the clock is put right, other members say that it is right, or an hour has passed. ' +
  'Limits on age and start times go by the time that passes, whatever the clock says. Compare the clocks of all members (timedatectl, or date -u)';

/** How long the machine has slept; undefined where that is unknown. */
function sleepOf(clock: Clock): number | undefined {
  const uptimeMs = clock.uptimeMs?.();
  return uptimeMs === undefined ? undefined : uptimeMs - clock.monotonicMs();
}

/** A duration in milliseconds as nanoseconds. */
export function nanoseconds(ms: number): bigint {
  return BigInt(Math.round(ms * 1e3)) * 1_000n;
}

/** A duration in seconds, for people. */
export function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
