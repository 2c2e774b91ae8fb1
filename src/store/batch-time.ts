import type { Clock } from '../clock/clock.js';
import { encodeTimestamp, MAX_TIMESTAMP_SIZE } from '../protocol/msgproto.js';

const FAR_BEHIND_NS = 10_000_000_000n;

/**
 * The timestamp that all messages of a batch share. It never goes back, whatever the system clock does, also over
 * restarts: recovery raises it to the newest one found.
 */
export class BatchTime {
  /** Whole milliseconds since 1970. */
  ms = 0;
  /** The timestamp in nanoseconds, as MsgProto has it. */
  readonly varint = Buffer.alloc(MAX_TIMESTAMP_SIZE);
  varintLength = 0;
  #ns = 0n;
  #isBehind = false;
  readonly #clock: Clock;
  readonly #warn: (message: string) => void;

  /** @param warn told once each time that the clock is far behind what was stored */
  constructor(clock: Clock, warn: (message: string) => void) {
    this.#clock = clock;
    this.#warn = warn;
  }

  get ns(): bigint {
    return this.#ns;
  }

  /** Takes the time for a new batch. */
  advance(): void {
    const nowNs = this.#clock.wallNs();
    const behindNs = this.#ns - nowNs;
    if (behindNs <= 0n) this.#isBehind = false;
    else if (behindNs > FAR_BEHIND_NS && !this.#isBehind) {
      this.#isBehind = true;
      this.#warn(behind(Number(behindNs / 1_000_000_000n)));
    }
    this.raise(nowNs);
    this.varintLength = encodeTimestamp(this.varint, 0, this.#ns);
  }

  raise(ns: bigint): void {
    if (ns <= this.#ns) return;
    this.#ns = ns;
    this.ms = Number(ns / 1_000_000n);
  }
}

function behind(seconds: number): string {
  return (
    `The clock of this machine is ${seconds} s behind the newest message that is stored: one was ahead before, or this one was set back. ` +
    'Timestamps never go back, so until it has caught up all new messages bear that of the newest; limits on age and start times go by it. ' +
    'Compare the clocks of all members (timedatectl, or date -u)'
  );
}
