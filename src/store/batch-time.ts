import type { Clock } from '../clock/clock.js';
import { encodeTimestamp, MAX_TIMESTAMP_SIZE } from '../protocol/msgproto.js';

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
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get ns(): bigint {
    return this.#ns;
  }

  /** Takes the time for a new batch. */
  advance(): void {
    this.raise(this.#clock.wallNs());
    this.varintLength = encodeTimestamp(this.varint, 0, this.#ns);
  }

  raise(ns: bigint): void {
    if (ns <= this.#ns) return;
    this.#ns = ns;
    this.ms = Number(ns / 1_000_000n);
  }
}
