/** Somebody waits until all up to a number is answered. */
interface Flush {
  readonly upTo: number;
  left: number;
  resolve(): void;
}

/** Who waits until everything is answered that was published until some moment. */
export class Flushes {
  #waiting: Flush[] = [];

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /**
   * @param upTo number of the last message that counts
   * @param left how many of these are not answered yet
   */
  wait(upTo: number, left: number): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ upTo, left, resolve }));
  }

  /** A message has been answered. */
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
