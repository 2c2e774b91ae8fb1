/** As on a local disk. A network mount takes several times that. */
const QUICK_MS = 0.1;
/** So slow that the event loop should not have waited for it. */
const SLOW_MS = 1;
/** After a slow one the event loop waits for none for so many times as long: it is kept waiting for a small part of its time. */
const PAUSES = 20;
const ENOUGH = 10;
const MOST = 20;
/** What one that is not quick outweighs: on a busy machine some never are, on a network mount none is. */
const WEIGHT = 2;

/** Judges by how long renewals take whether the event loop may wait for the next one, or another thread is to. */
export class RenewalPace {
  #score = 0;
  #pausedUntilMs = 0;

  mayWait(nowMs: number): boolean {
    return this.#score >= ENOUGH && nowMs >= this.#pausedUntilMs;
  }

  /** A renewal took so long, in whichever thread. @param hasWaited whether the event loop waited for it */
  add(tookMs: number, hasWaited: boolean, nowMs: number): void {
    if (tookMs < QUICK_MS) this.#score = Math.min(MOST, this.#score + 1);
    else this.#score = Math.max(0, this.#score - WEIGHT);
    if (hasWaited && tookMs >= SLOW_MS) this.#pausedUntilMs = nowMs + tookMs * PAUSES;
  }
}
