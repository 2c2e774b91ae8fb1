import type { Clock, Timer } from '../clock/clock.js';
import { StoreError } from '../store/errors.js';
import { type Reign, type ReignState, sameReign } from '../store/reign.js';

export interface KeeperOptions {
  clock: Clock;
  reign: Reign;
  /** What the taking over led to. */
  state: ReignState;
  /** When that began. */
  takenMs: number;
  leaseMs: number;
  /** The reign is another's, or the store cannot be reached: nothing more may be said. Called once, not after `release` or `stop`. */
  onLost(error: Error): void;
}

/** Holds the reign for the active: every change of the reign's name goes through it, one at a time. */
export interface ReignKeeper {
  /**
   * Ends when a renewal that began after this call has succeeded: what was synced before the call is then in what any
   * successor reads.
   *
   * @throws StoreError `lost`
   */
  fence(): Promise<void>;
  /** Clock's monotonic milliseconds at which the newest renewal that succeeded began. */
  readonly renewedMs: number;
  /** How long that one took. */
  readonly renewalMs: number;
  /** Gives the reign to whoever wants it. @returns false if it was lost already */
  release(): Promise<boolean>;
  /** Renews no more, and gives nothing back: the lease has to end. */
  stop(): void;
}

export type KeepReign = (options: KeeperOptions) => ReignKeeper;

/** Of the lease: how often the reign is renewed when nothing is written. */
const RENEWALS_PER_LEASE = 3;

/** By another thread, with the way there and back. */
const QUICK_MS = 0.25;
/** After so many quick ones they are done at once. */
const QUICK_IN_ROW = 10;
/** At once. */
const SLOW_MS = 1;
/** Quick ones that it takes more after a slow one. */
const PENALTY = 1_000;
const DONE = Promise.resolve();

export const keepReign: KeepReign = (options) => new Keeper(options);

/** Keeps the reign on the event loop of the caller, by the caller's clock and file system. */
class Keeper implements ReignKeeper {
  renewedMs: number;
  renewalMs = 0;
  /** Renewals by another thread that took no longer than the way there and back. */
  #quickInRow = 0;
  readonly #options: KeeperOptions;
  #state: ReignState;
  #running: Promise<void> | undefined;
  /** Begins when the running one has ended: whoever asks meanwhile gets this one. */
  #next: Promise<void> | undefined;
  #timer: Timer | undefined;
  #lost: Error | undefined;
  #isEnded = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#state = options.state;
    this.renewedMs = options.takenMs;
    this.#arm();
  }

  fence(): Promise<void> {
    // It has not begun yet, so it is late enough.
    if (this.#next !== undefined) return this.#next;
    if (this.#running === undefined) return this.#renewAtOnce() ? DONE : this.#begin();
    this.#next = this.#running.then(
      () => this.#begin(),
      () => this.#begin(),
    );
    return this.#next;
  }

  async release(): Promise<boolean> {
    this.stop();
    await this.#running?.catch(() => {});
    if (this.#lost !== undefined) return false;
    return (await this.#options.reign.release(this.#state)) !== 'lost';
  }

  stop(): void {
    this.#isEnded = true;
    this.#timer?.cancel();
  }

  /**
   * On a local disk a rename takes microseconds, and handing it to another thread ten times that: so it is done here as
   * long as that is so. On a network mount it never is, and nothing waits for it.
   *
   * @returns whether it was done
   */
  #renewAtOnce(): boolean {
    if (this.#quickInRow < QUICK_IN_ROW || this.#lost !== undefined || this.#isEnded) return false;
    const { clock, reign } = this.#options;
    const begunMs = clock.monotonicMs();
    let next: ReignState | 'lost' | undefined;
    try {
      next = reign.renewNow(this.#state);
    } catch {
      // The other way finds the same, and says what it is.
    }
    if (next === undefined || next === 'lost') {
      this.#quickInRow = Number.NEGATIVE_INFINITY;
      return false;
    }
    this.#renewed(next, begunMs);
    if (this.renewalMs > SLOW_MS) this.#quickInRow = -PENALTY;
    return true;
  }

  #renewed(next: ReignState, begunMs: number): void {
    this.#state = next;
    this.renewedMs = begunMs;
    this.renewalMs = this.#options.clock.monotonicMs() - begunMs;
  }

  #begin(): Promise<void> {
    this.#next = undefined;
    const running = this.#renew().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  async #renew(): Promise<void> {
    if (this.#lost !== undefined) throw this.#lost;
    if (this.#isEnded) throw new StoreError('lost', 'The reign has been given up');
    const { clock, reign } = this.#options;
    const begunMs = clock.monotonicMs();
    let next: ReignState | 'lost';
    try {
      next = await reign.renew(this.#state);
    } catch (error) {
      throw this.#lose(
        new Error(`The reign cannot be renewed: ${(error as Error).message}`, { cause: error }),
      );
    }
    if (next === 'lost') {
      // A network file system may have done it, lost the answer, and asked again. Nobody else makes this name.
      const wanted = { ...this.#state, counter: this.#state.counter + 1 };
      const now = await reign.read().catch(() => undefined);
      if (now === undefined || !sameReign(now, wanted)) throw this.#lose(lostTo(now));
      next = wanted;
    }
    this.#renewed(next, begunMs);
    this.#quickInRow = this.renewalMs < QUICK_MS ? this.#quickInRow + 1 : Math.min(0, this.#quickInRow);
  }

  #lose(error: Error): Error {
    if (this.#lost !== undefined) return this.#lost;
    this.#lost = error;
    this.#timer?.cancel();
    if (!this.#isEnded) this.#options.onLost(error);
    return error;
  }

  #arm(): void {
    if (this.#isEnded) return;
    const { clock, leaseMs } = this.#options;
    this.#timer = clock.setTimer(leaseMs / RENEWALS_PER_LEASE, () => {
      // Batches renew too: what they did is as good.
      this.fence().then(
        () => this.#arm(),
        () => {},
      );
    });
  }
}

/** What a holder says that has found another's name. */
function lostTo(now: ReignState | undefined): StoreError {
  const by = now === undefined ? 'somebody' : `${now.holder} in epoch ${now.epoch}`;
  return new StoreError('lost', `The reign has been taken over by ${by}`);
}
