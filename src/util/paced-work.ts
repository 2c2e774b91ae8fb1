import { Turns } from './turns.js';

/** Work that others ask for, in the order of its coming and in slices. There is a limit on what waits. */
export class PacedWork {
  readonly #maxWaiting: number;
  #waiting: (() => void | Promise<void>)[] = [];
  #isRunning = false;

  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting;
  }

  /** @param work does not throw. @returns false if too much waits: it is not done */
  add(work: () => void | Promise<void>): boolean {
    if (this.#waiting.length >= this.#maxWaiting) return false;
    this.#waiting.push(work);
    if (!this.#isRunning) void this.#run();
    return true;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    const turns = await Turns.begin();
    while (this.#waiting.length > 0) {
      const works = this.#waiting;
      this.#waiting = [];
      for (const work of works) {
        await work();
        if (turns.isOver) await turns.giveWay();
      }
    }
    this.#isRunning = false;
  }
}
