import type { Clock, Timer } from '../clock/clock.js';
import type { StoreFs } from '../files/fs.js';
import { StoreError } from '../files/store-error.js';
import type { CandidateLock, HeldLock } from './candidate-lock.js';
import { Lease, type LeaseState, RELEASED, sameLease } from './lease.js';
import { holderOf, type Processes, parseHolder } from './process-identity.js';
import type { StorePlace } from './store-anchor.js';

export interface ClaimOptions {
  fs: StoreFs;
  clock: Clock;
  dir: string;
  nodeName: string;
  processes: Processes;
  lock: CandidateLock;
  /** How long a holder that cannot be asked may be silent before its term is taken. Default 3000. */
  leaseMs?: number;
  /** Where `dir` leads, see store-anchor.ts. Default: always to the same files. */
  lookAtPlace?: () => Promise<StorePlace>;
  /** Another has taken the store, or it cannot be reached: nothing more may be said. Called once. */
  onLost: (error: Error) => void;
  /** The holder is not waited for any more. */
  signal?: AbortSignal | undefined;
}

const DEFAULT_LEASE_MS = 3000;
/** Often enough for members of a group that were started on the same store by mistake: they go by a short lease. */
const MAX_RENEWAL_MS = 150;
const MAX_ROUNDS = 20;

/**
 * Claims a store for one broker alone: what is free, released, or held by a process of this host that is dead is taken
 * at once; otherwise the holder has the lease time to show that it is there.
 *
 * @throws StoreError `held`, saying by whom; the signal's reason
 */
export async function claimStore(options: ClaimOptions): Promise<StoreClaim> {
  const { fs, dir, clock, processes, signal } = options;
  const leaseMs = options.leaseMs ?? DEFAULT_LEASE_MS;
  const lease = new Lease(fs, dir);
  const holder = holderOf(options.nodeName, await processes.self());
  await lease.create(holder);
  let state = await lease.read();
  let epoch = state.epoch;
  for (let round = 1; round <= MAX_ROUNDS; round++) {
    epoch = Math.max(epoch, state.epoch) + 1;
    if (!(await isFree(state, processes))) {
      const seen = await watch(lease, state, leaseMs, clock, signal);
      if (!sameLease(seen, state)) {
        if (!(await isFree(seen, processes))) throw held(dir, seen);
        state = seen;
        epoch = state.epoch + 1;
      }
    }
    let claim: StoreClaim | undefined;
    const lock = await options.lock(epoch, () => claim?.lockLost());
    if (lock === undefined) {
      // Another candidate is at it, or died at it. Then the next epoch has a lock of its own.
      state = await watch(lease, state, leaseMs, clock, signal);
      continue;
    }
    const begun = clock.monotonicMs();
    let next = await lease.takeOver(state, epoch, holder);
    if (next === 'lost') {
      const wanted = { epoch, counter: 0, holder };
      if (await isDone(lease, wanted)) {
        await lease.settle(wanted);
        next = wanted;
      }
    }
    if (next !== 'lost') {
      claim = new StoreClaim(options, lease, next, lock, begun, leaseMs);
      await lock.removeOlder();
      return claim;
    }
    await lock.release();
    state = await lease.read();
  }
  throw held(dir, state);
}

/** Whether nobody has the lease any more: it was given back, or its holder is a process of this host that has ended. */
export async function isFree(state: LeaseState, processes: Processes): Promise<boolean> {
  if (state.holder === RELEASED) return true;
  const holder = parseHolder(state.holder);
  return holder !== undefined && (await processes.isDead(holder.identity));
}

/**
 * Whether a change of the name that was not there has been made all the same: a network file system may have renamed it, lost the answer, and
 * asked again. Nobody else makes the name of a claim's own next state.
 */
async function isDone(lease: Lease, wanted: LeaseState): Promise<boolean> {
  const found = await lease.read().catch(() => undefined);
  return found !== undefined && sameLease(found, wanted);
}

/** @returns the state as soon as it is another than `known`, or `known` after the lease time */
async function watch(
  lease: Lease,
  known: LeaseState,
  leaseMs: number,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<LeaseState> {
  const until = clock.monotonicMs() + leaseMs;
  for (;;) {
    signal?.throwIfAborted();
    const state = await lease.read();
    if (!sameLease(state, known) || clock.monotonicMs() >= until) return state;
    await new Promise<void>((resolve) => {
      clock.setTimer(leaseMs / 20, resolve);
    });
  }
}

function held(dir: string, state: LeaseState): StoreError {
  const holder = parseHolder(state.holder);
  const who =
    holder === undefined
      ? state.holder
      : `node "${holder.nodeName}" (host ${holder.identity.host}, pid ${holder.identity.pid})`;
  return new StoreError(
    'held',
    `The store in ${dir} is held by ${who}, epoch ${state.epoch}. Stop that broker first, or give another --dir`,
  );
}

/** The hold on a store, renewed until it is released or lost. */
export class StoreClaim {
  readonly epoch: number;
  readonly #options: ClaimOptions;
  readonly #lease: Lease;
  readonly #lock: HeldLock;
  readonly #leaseMs: number;
  #state: LeaseState;
  /** When the last renewal that succeeded began. */
  #renewedMs: number;
  #renewing: Promise<void> | undefined;
  #timer: Timer | undefined;
  #lost: StoreError | undefined;
  #isTold = false;
  #isReleased = false;

  constructor(
    options: ClaimOptions,
    lease: Lease,
    state: LeaseState,
    lock: HeldLock,
    renewedMs: number,
    leaseMs: number,
  ) {
    this.#options = options;
    this.#lease = lease;
    this.#state = state;
    this.#lock = lock;
    this.#renewedMs = renewedMs;
    this.#leaseMs = leaseMs;
    this.epoch = state.epoch;
    this.#arm();
  }

  /**
   * Ends when the hold is known to be good: at once if it was renewed within half of the lease by the monotonic clock,
   * else after a renewal. That guards a broker that was paused; a group of brokers renews after each batch instead,
   * and trusts no clock.
   *
   * @throws StoreError `lost`
   */
  confirm(): Promise<void> {
    const isFresh = this.#options.clock.monotonicMs() - this.#renewedMs < this.#leaseMs / 2;
    return isFresh && this.#lost === undefined ? CONFIRMED : this.#renew();
  }

  /** Nothing rests on the lock. But whoever took it may have taken the store: that is asked now, whatever the clock says. */
  lockLost(): void {
    if (this.#isReleased) return;
    this.#renewedMs = Number.NEGATIVE_INFINITY;
    this.#renew().catch((error: Error) => this.#tellLost(error));
  }

  /** Gives the store back. Idempotent. */
  async release(): Promise<void> {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#timer?.cancel();
    await this.#renewing?.catch(() => {});
    if (this.#lost === undefined) await this.#lease.release(this.#state);
    await this.#lock.release();
  }

  #arm(): void {
    this.#timer = this.#options.clock.setTimer(Math.min(MAX_RENEWAL_MS, this.#leaseMs / 3), () => {
      void this.#lookAtPlace();
      this.#renew().then(
        () => {
          if (!this.#isReleased) this.#arm();
        },
        (error: Error) => this.#tellLost(error),
      );
    });
  }

  /** Names lead elsewhere than to the files that are open: what is written there no broker will find. */
  async #lookAtPlace(): Promise<void> {
    const { dir, lookAtPlace } = this.#options;
    const place = await lookAtPlace?.().catch(() => undefined);
    if (place === undefined || place === 'same' || this.#lost !== undefined || this.#isReleased) return;
    this.#lost = new StoreError(
      'lost',
      `${dir} has been ${place === 'replaced' ? 'replaced by a copy or a restored backup' : 'mounted anew'} while this broker was running: it leads to ` +
        'other files than those that are open. What was acknowledged last is in these. This broker must stop: put the former folder back if it is there, and start it again',
    );
    this.#tellLost(this.#lost);
  }

  #tellLost(error: Error): void {
    if (this.#isReleased || this.#isTold) return;
    this.#isTold = true;
    this.#options.onLost(error);
  }

  #renew(): Promise<void> {
    this.#renewing ??= this.#renewOnce().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #renewOnce(): Promise<void> {
    if (this.#lost !== undefined) throw this.#lost;
    const begun = this.#options.clock.monotonicMs();
    const { dir } = this.#options;
    const wanted = { ...this.#state, counter: this.#state.counter + 1 };
    const next = await this.#lease.renew(this.#state);
    if (next !== 'lost' || (await isDone(this.#lease, wanted))) {
      this.#state = wanted;
      this.#renewedMs = begun;
      return;
    }
    const now = await this.#lease.read().catch(() => undefined);
    const by = now === undefined ? 'someone' : now.holder;
    this.#lost = new StoreError(
      'lost',
      `The store in ${dir} has been taken over by ${by}. This broker must stop`,
    );
    throw this.#lost;
  }
}

const CONFIRMED = Promise.resolve();
