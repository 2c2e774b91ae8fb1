import { setImmediate as nextTurn } from 'node:timers/promises';

/** Longest stretch of work before messages that have come meanwhile have their turn. */
const SLICE_MS = 5;

/** Work that may be long and is never urgent: gives way to everything else every few milliseconds. */
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
