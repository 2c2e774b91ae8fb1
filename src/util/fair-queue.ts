import { must } from './assert.js';
import { Turns } from './turns.js';

/**
 * Work that is done one piece at a time, in slices. Owners take turns, so that an owner with much work delays only itself. The number of
 * pieces that wait is limited.
 */
export class FairQueue {
  readonly #maxWaiting: number;
  /** What waits, by owner. The owner whose turn is next comes first. */
  readonly #byOwner = new Map<object, (() => Promise<void>)[]>();
  #waiting = 0;
  #isRunning = false;

  /** @param maxWaiting limit on what waits. An owner that has nothing waiting may add one piece beyond it */
  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting;
  }

  /** How many pieces wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** @returns false if no more of this owner's work is taken in now */
  hasRoom(owner: object): boolean {
    return this.#waiting < this.#maxWaiting || !this.#byOwner.has(owner);
  }

  /** Does the work when its turn comes, whatever waits already. @returns as the work does */
  run<T>(owner: object, work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const piece = async (): Promise<void> => {
        try {
          resolve(await work());
        } catch (error) {
          reject(error);
        }
      };
      const list = this.#byOwner.get(owner);
      if (list === undefined) this.#byOwner.set(owner, [piece]);
      else list.push(piece);
      this.#waiting++;
      if (!this.#isRunning) void this.#runAll();
    });
  }

  async #runAll(): Promise<void> {
    this.#isRunning = true;
    const turns = await Turns.begin();
    for (const [owner, list] of this.#byOwner) {
      const piece = must(list.shift(), 'an owner in the queue has work in it');
      this.#waiting--;
      // An owner with more work goes to the end, where this loop comes to it again.
      this.#byOwner.delete(owner);
      if (list.length > 0) this.#byOwner.set(owner, list);
      await piece();
      if (turns.isOver) await turns.giveWay();
    }
    this.#isRunning = false;
  }
}
