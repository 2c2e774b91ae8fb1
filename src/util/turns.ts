import { setImmediate as nextTurn } from 'node:timers/promises';

/** Longest stretch of work before waiting messages have their turn. */
const SLICE_MS = 5;

/** Splits long work that is not urgent into turns, and gives way to all other work every few milliseconds. */
export class Turns {
  #sliceEndMs = performance.now() + SLICE_MS;

  /** Whether it is time to `giveWay`. */
  get isOver(): boolean {
    return performance.now() >= this.#sliceEndMs;
  }

  async giveWay(): Promise<void> {
    await nextTurn();
    this.#sliceEndMs = performance.now() + SLICE_MS;
  }
}
