/** A call of `flush` that waits until all messages up to a number are answered. */
interface Flush {
  readonly upTo: number;
  left: number;
  resolve(): void;
}

/** The calls of `flush`: each waits for the answers to all messages that were published before it. */
export class Flushes {
  #waiting: Flush[] = [];

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /**
   * @param upTo number of the last message to wait for
   * @param left how many of these messages are not answered yet
   */
  wait(upTo: number, left: number): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ upTo, left, resolve }));
  }

  /** Counts the answer to a message. */
  count(number: number): void {
    let isOver = false;
    for (const flush of this.#waiting) {
      if (number > flush.upTo || --flush.left > 0) continue;
      flush.resolve();
      isOver = true;
    }
    if (isOver) this.#waiting = this.#waiting.filter(({ left }) => left > 0);
  }
}
