/** Longest stretch of work on the event loop before other work has its turn, in milliseconds. */
export const SLICE_MS = 5;

/** Those that wait for their next slice, in order. */
const waiting: (() => void)[] = [];

/**
 * Slices of long work that is not urgent. The work looks at `isOver` after each small step and gives way when it is true. All such work in
 * the process takes turns: between any two slices the event loop does everything else that is due. So messages and the
 * renewal of the lease wait for one slice, however many pages are being made.
 */
export class Turns {
  #sliceEndMs = 0;

  private constructor() {}

  /** Waits for the first slice. */
  static async begin(): Promise<Turns> {
    const turns = new Turns();
    await turns.giveWay();
    return turns;
  }

  /** Whether it is time to `giveWay`. */
  get isOver(): boolean {
    return performance.now() >= this.#sliceEndMs;
  }

  /** Waits for the next slice, behind all others that wait for theirs. */
  giveWay(): Promise<void> {
    return new Promise((resolve) => {
      waiting.push(() => {
        this.#sliceEndMs = performance.now() + SLICE_MS;
        resolve();
      });
      if (waiting.length === 1) setImmediate(next);
    });
  }
}

/** Starts one slice. The next one comes after another round of the event loop. */
function next(): void {
  waiting.shift()?.();
  if (waiting.length > 0) setImmediate(next);
}

/** What slices of a broker's work need. */
export interface SliceNeeds {
  readonly nowMs: () => number;
  /** Runs a callback soon, after I/O that is due. */
  readonly defer: (callback: () => void) => void;
  /** Does the work of one slice: a turn of the broker, for example. */
  readonly run: (body: () => void) => void;
  /** Asked before each slice. If it is false, the rest is left. */
  readonly goesOn: () => boolean;
}

/** Does a piece of work for each item, in as many slices as that takes. The first one is done at once. */
export function inSlices<T>(items: Iterator<T>, work: (item: T) => void, needs: SliceNeeds): void {
  if (!needs.goesOn()) return;
  let isDone = false;
  needs.run(() => {
    const endMs = needs.nowMs() + SLICE_MS;
    do {
      const item = items.next();
      isDone = item.done === true;
      if (item.done !== true) work(item.value);
    } while (!isDone && needs.nowMs() < endMs);
  });
  if (!isDone) needs.defer(() => inSlices(items, work, needs));
}
