/** Measures the longest time without an ack. All times are milliseconds of one monotonic clock. */
export class Outage {
  #lastAckMs: number;
  #longestMs = 0;

  constructor(nowMs: number) {
    this.#lastAckMs = nowMs;
  }

  get lastAckMs(): number {
    return this.#lastAckMs;
  }

  ack(nowMs: number): void {
    this.#longestMs = Math.max(this.#longestMs, nowMs - this.#lastAckMs);
    this.#lastAckMs = nowMs;
  }

  /** Starts a new measurement. A time without an ack that has begun before counts from its beginning. */
  begin(): void {
    this.#longestMs = 0;
  }

  /** The longest time since `begin`, also one that still lasts. */
  longestMs(nowMs: number): number {
    return Math.max(this.#longestMs, nowMs - this.#lastAckMs);
  }
}
