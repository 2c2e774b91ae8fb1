const MAX_MISSED_PINGS = 2;
/** The answer may be behind megabytes of messages, for which the server itself gives a client 10 s. */
const MAX_UNANSWERED_PINGS = 6;

/** Counts the pings of a link, and finds out when its server counts as dead. */
export class PingWatch {
  /** Pings since the last bytes arrived. */
  #missed = 0;
  /** Pings since the last PONG, or since the server has last read a part of the backlog. */
  #unanswered = 0;
  #takenBytes = 0;

  /** Bytes have arrived. */
  received(): void {
    this.#missed = 0;
  }

  /** A PONG has arrived. */
  answered(): void {
    this.#unanswered = 0;
  }

  /**
   * Counts the ping that is due now, unless the server counts as dead.
   *
   * @param takenBytes how many bytes the system has taken so far
   * @param backlogBytes how many wait for it
   * @returns why the server counts as dead; undefined if it does not
   */
  next(intervalMs: number, takenBytes: number, backlogBytes: number): string | undefined {
    if (this.#missed >= MAX_MISSED_PINGS)
      return `the server has been silent for ${intervalMs * MAX_MISSED_PINGS} ms and more`;
    // If it still reads the backlog, it has not come to our pings yet.
    if (takenBytes !== this.#takenBytes && backlogBytes > 0) this.#unanswered = 0;
    this.#takenBytes = takenBytes;
    if (this.#unanswered >= MAX_UNANSWERED_PINGS)
      return `the server sends messages, but has answered no ping for ${intervalMs * MAX_UNANSWERED_PINGS} ms and more`;
    this.#missed++;
    this.#unanswered++;
    return undefined;
  }
}
