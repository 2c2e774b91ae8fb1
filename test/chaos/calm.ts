/** What is delivered and not acknowledged comes again after so long. */
export const ACK_WAIT_MS = 2_000;
/** An ack that got lost has shown itself by then. */
const SETTLED_MS = ACK_WAIT_MS + 3_000;

/** Since when nothing has disturbed the group: no fault, no takeover, and the probe has had its acks. */
export class Calm {
  #sinceMs = performance.now();
  #hasFaults = false;
  #settledUntilMs = Number.NEGATIVE_INFINITY;

  disturb(): void {
    this.#update();
    this.#sinceMs = Math.max(this.#sinceMs, performance.now());
  }

  beginFaults(): void {
    this.#update();
    this.#hasFaults = true;
  }

  /** @param lateMs connections that were cut come back so late at the latest */
  endFaults(lateMs: number): void {
    this.#hasFaults = false;
    this.#sinceMs = performance.now() + lateMs;
  }

  /** What was acknowledged by a subscriber until then must be known to the group. */
  get settledUntilMs(): number {
    this.#update();
    return this.#settledUntilMs;
  }

  #update(): void {
    const untilMs = performance.now() - SETTLED_MS;
    if (!this.#hasFaults && untilMs >= this.#sinceMs)
      this.#settledUntilMs = Math.max(this.#settledUntilMs, untilMs);
  }
}
