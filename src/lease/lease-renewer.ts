import type { Clock, Timer } from '../clock/clock.js';
import { StoreError } from '../files/store-error.js';
import type { Lease } from './lease.js';
import type { LeaseState } from './lease-state.js';
import { RenewalPace } from './renewal-pace.js';
import { RenewalRounds } from './renewal-rounds.js';
import { RENEWALS_PER_LEASE, renew, renewNow } from './renewal-rules.js';

export interface RenewerOptions {
  clock: Clock;
  lease: Lease;
  /** What the taking over led to. */
  state: LeaseState;
  /** When that began. */
  takenMs: number;
  leaseMs: number;
  /** The lease is another's, or the store cannot be reached: nothing more may be said. Called once, not after `release` or `stop`. */
  onLost(error: Error): void;
  /** A renewal took so long, in whichever thread. */
  onRenewed?(tookMs: number): void;
}

/** Holds the lease for the active: every change of the lease's name goes through it, one at a time. */
export interface LeaseRenewer {
  /**
   * Ends when a renewal that began after this call has succeeded: what was synced before the call is then in what any
   * successor reads.
   *
   * @param batch the newest batch of this term that is durable: that renewal says so in the lease's name. Default 0, which says nothing new
   * @throws StoreError `lost`
   */
  fence(batch?: number): Promise<void>;
  /**
   * The first batch of this term, number 1, is durable: the lease says so from the next renewal on. Ends as `fence` does.
   *
   * @throws StoreError `lost`
   */
  markServed(): Promise<void>;
  /** Clock's monotonic milliseconds at which the newest renewal that succeeded began. */
  readonly renewedMs: number;
  /** How long that one took. */
  readonly renewalMs: number;
  /** The counter in the lease's name, as the newest renewal left it or later. */
  readonly counter: number;
  /** Gives the lease back, so that any member may take it. @returns false if it was lost already */
  release(): Promise<boolean>;
  /** Renews no more, and gives nothing back: the lease has to end. */
  stop(): void;
}

export type StartRenewer = (options: RenewerOptions) => LeaseRenewer;

/** Renews on the event loop of the caller, by the caller's clock and file system. See also renewal-thread.ts. */
export const startRenewer: StartRenewer = (options) => new LoopRenewer(options);

/** The same, where a fence comes after each batch: as long as a renewal takes microseconds, the event loop waits for it. */
export const startQuickRenewer: StartRenewer = (options) => new LoopRenewer(options, new RenewalPace());

class LoopRenewer implements LeaseRenewer {
  renewedMs: number;
  renewalMs = 0;
  readonly #options: RenewerOptions;
  /** Undefined: the event loop waits for no renewal. */
  readonly #pace: RenewalPace | undefined;
  readonly #rounds = new RenewalRounds(() => this.#renew());
  #state: LeaseState;
  /** The newest batch of this term that is durable. */
  #batch = 0;
  #timer: Timer | undefined;
  #lost: Error | undefined;
  #isEnded = false;

  constructor(options: RenewerOptions, pace?: RenewalPace) {
    this.#options = options;
    if (options.lease.canRenewNow) this.#pace = pace;
    this.#state = options.state;
    this.renewedMs = options.takenMs;
    this.#arm();
  }

  get counter(): number {
    return this.#state.counter;
  }

  fence(batch = 0): Promise<void> {
    if (batch > this.#batch) this.#batch = batch;
    return this.#rounds.ask();
  }

  markServed(): Promise<void> {
    return this.fence(1);
  }

  async release(): Promise<boolean> {
    this.stop();
    await this.#rounds.ended();
    if (this.#lost !== undefined) return false;
    return (await this.#options.lease.release(this.#state)) !== 'lost';
  }

  stop(): void {
    this.#isEnded = true;
    this.#timer?.cancel();
  }

  async #renew(): Promise<void> {
    if (this.#lost !== undefined) throw this.#lost;
    if (this.#isEnded) throw givenUp();
    const { clock, lease } = this.#options;
    const begunMs = clock.monotonicMs();
    const isNow = this.#pace?.mayWait(begunMs) === true;
    try {
      const batch = this.#batch;
      this.#state = isNow ? renewNow(lease, this.#state, batch) : await renew(lease, this.#state, batch);
    } catch (error) {
      throw this.#lose(error as Error);
    }
    const endedMs = clock.monotonicMs();
    this.renewedMs = begunMs;
    this.renewalMs = endedMs - begunMs;
    this.#pace?.add(this.renewalMs, isNow, endedMs);
    this.#options.onRenewed?.(this.renewalMs);
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

/** What a fence says after `release` or `stop`. */
export function givenUp(): StoreError {
  return new StoreError('lost', 'The lease has been given up');
}
