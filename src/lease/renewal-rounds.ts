/** Runs rounds one at a time: each caller gets a round that begins after its request, together with all others that ask before it begins. */
export class RenewalRounds {
  readonly #round: () => Promise<void>;
  #running: Promise<void> | undefined;
  /** Begins when the running one has ended. */
  #next: Promise<void> | undefined;

  constructor(round: () => Promise<void>) {
    this.#round = round;
  }

  get isBusy(): boolean {
    return this.#running !== undefined || this.#next !== undefined;
  }

  ask(): Promise<void> {
    // It has not begun yet, so it is late enough.
    if (this.#next !== undefined) return this.#next;
    if (this.#running === undefined) return this.#begin();
    this.#next = this.#running.then(
      () => this.#begin(),
      () => this.#begin(),
    );
    return this.#next;
  }

  /** Resolves when the running one has ended, well or not. */
  async ended(): Promise<void> {
    await this.#running?.catch(() => {});
  }

  #begin(): Promise<void> {
    this.#next = undefined;
    const running = this.#round().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }
}
