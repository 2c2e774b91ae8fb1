/** The longest time without an ack. All times are milliseconds of one monotonic clock. */
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

  /** Begins anew. A time without an ack that goes on now counts whole. */
  begin(): void {
    this.#longestMs = 0;
  }

  /** Since `begin`, with one that goes on. */
  longestMs(nowMs: number): number {
    return Math.max(this.#longestMs, nowMs - this.#lastAckMs);
  }
}
