import type { Clock, Timer } from '../clock/clock.js';
import { StoreError } from '../files/store-error.js';
import type { CandidateLock, HeldLock } from './candidate-lock.js';
import { held, holderText } from './held.js';
import type { Lease } from './lease.js';
import type { LeaseRenewer, StartRenewer } from './lease-renewer.js';
import { type LeaseState, RELEASED, type Served, sameLease, servedOf, watchedMs } from './lease-state.js';
import { holderOf, isHolderDead, type Processes } from './process-identity.js';
import { RENEWALS_PER_LEASE } from './renewal-rules.js';
import type { StorePlace } from './store-anchor.js';
import { type TakenLease, takeLease } from './take-lease.js';

export interface LoneLeaseOptions {
  clock: Clock;
  lease: Lease;
  lock: CandidateLock;
  startRenewer: StartRenewer;
  processes: Processes;
  /** The store's folder, for people. */
  dir: string;
  nodeName: string;
  /** How long the broker may be silent before another takes its lease; and a holder that cannot be asked, if its own lease is not longer. Default 3000. */
  leaseMs?: number;
  /** The store has an identity. */
  isStoreThere: boolean;
  /** Reports that the lease was lost, and is made again. */
  warn: (message: string) => void;
  /** Where `dir` leads, see store-anchor.ts. Default: always to the same files. */
  lookAtPlace?: () => Promise<StorePlace>;
  /** Another has taken the store, or it cannot be reached: nothing more may be said. Called once. */
  onLost: (error: Error) => void;
  /** It waits for so many milliseconds whether a holder that cannot be asked renews its lease, or a group takes it. For people. */
  onWait?: (text: string, waitMs: number) => void;
  /** Gives up waiting for a holder. */
  signal?: AbortSignal | undefined;
}

const DEFAULT_LEASE_MS = 3000;
const LOOKS_PER_LEASE = 20;
const MAX_ROUNDS = 20;
/** A broker that was replaced finds that out three times in so long, also if it has nothing to say. */
const SHORTEST_LEASE_MS = 450;

/**
 * Takes the lease for a broker that has no standbys. It takes at once what is free, released, or held by a dead process of this host;
 * any other holder has the lease time to show by a renewal that it is alive. What a group has released, one of its members may be about
 * to take, as in a handover: they have the length of that lease for it.
 *
 * @throws StoreError `held`, saying by whom; the signal's reason
 */
export async function takeLoneLease(options: LoneLeaseOptions): Promise<LoneLease> {
  const { clock, lease, lock, dir, processes, signal, leaseMs = DEFAULT_LEASE_MS } = options;
  const holder = holderOf(options.nodeName, await processes.self());
  const problem = await lease.create(holder, options.isStoreThere);
  if (problem !== undefined) options.warn(problem);
  let known = await lease.readFresh(holder);
  let epoch = known.epoch;
  for (let round = 1; round <= MAX_ROUNDS; round++) {
    signal?.throwIfAborted();
    if (round === 1 && known.holder === RELEASED && known.kind === 'group') {
      const waitMs = watchedMs(known, 0);
      const what = `The store in ${dir} was given back by a member of a group`;
      options.onWait?.(`${what}. Watching for up to ${waitMs} ms whether another one takes it`, waitMs);
      known = (await change(options, known, holder, waitMs)) ?? known;
    }
    if (!(await isFree(known, processes))) {
      const waitMs = watchedMs(known, leaseMs);
      if (round === 1) {
        const what = `The store in ${dir} was last held by ${holderText(known)}`;
        options.onWait?.(`${what}. Watching for up to ${waitMs} ms whether it renews its lease`, waitMs);
      }
      const now = await change(options, known, holder);
      if (now !== undefined && !(await isFree(now, processes))) throw held(dir, now);
      known = now ?? known;
    }
    epoch = Math.max(epoch, known.epoch) + 1;
    let loneLease: LoneLease | undefined;
    const taken = await takeLease({
      ...{ clock, lease, lock, holder, known, epoch },
      length: { kind: 'alone', leaseMs },
      onLockLost: () => loneLease?.lockLost(),
      isGivenUp: () => signal?.aborted === true,
    });
    if (typeof taken !== 'string') {
      loneLease = new LoneLease(options, taken);
      await taken.lock.removeOlder();
      return loneLease;
    }
    // Another candidate is at it, or died at it. Then the next epoch has a lock of its own.
    if (taken === 'locked') await change(options, known, holder);
    known = await lease.readFresh(holder);
  }
  throw held(dir, known);
}

/** Whether the lease has no holder any more: it was given back, or its holder is a process of this host that has ended. */
export async function isFree({ holder }: LeaseState, processes: Processes): Promise<boolean> {
  return holder === RELEASED || (await isHolderDead(holder, processes));
}

/** Watches the lease: by default for its length, or for the own one if that is longer. @returns what it has changed to, as soon as that is seen; undefined if it has not */
async function change(
  { lease, clock, leaseMs = DEFAULT_LEASE_MS, signal }: LoneLeaseOptions,
  known: LeaseState,
  holder: string,
  forMs = watchedMs(known, leaseMs),
): Promise<LeaseState | undefined> {
  const until = clock.monotonicMs() + forMs;
  for (;;) {
    signal?.throwIfAborted();
    // The last look counts, so it is one past what a mount remembers.
    const isLast = clock.monotonicMs() >= until;
    const state = await (isLast ? lease.readFresh(holder) : lease.read());
    if (!sameLease(state, known)) return state;
    if (isLast) return undefined;
    await new Promise<void>((resolve) => {
      clock.setTimer(leaseMs / LOOKS_PER_LEASE, resolve);
    });
  }
}

/** The lease of a broker that has no standbys, renewed until it is released or lost. */
export class LoneLease {
  readonly epoch: number;
  /** What was durable for certain when this term began. */
  readonly served: Served;
  readonly #options: LoneLeaseOptions;
  readonly #renewer: LeaseRenewer;
  readonly #lock: HeldLock;
  readonly #lookMs: number;
  #timer: Timer | undefined;
  #lost: Error | undefined;
  #isReleased = false;

  constructor(options: LoneLeaseOptions, { state, takenMs, lock }: TakenLease) {
    const { clock, lease, leaseMs = DEFAULT_LEASE_MS } = options;
    this.#options = options;
    this.#lock = lock;
    this.epoch = state.epoch;
    this.served = servedOf(state);
    const shortestMs = Math.min(SHORTEST_LEASE_MS, leaseMs);
    this.#lookMs = shortestMs / RENEWALS_PER_LEASE;
    this.#renewer = options.startRenewer({
      ...{ clock, lease, state, takenMs, leaseMs: shortestMs },
      onLost: (error) => this.#lose(this.#explained(error)),
    });
    this.#lookLater();
  }

  /** As `LeaseRenewer.fence`. @throws StoreError `lost` */
  fence(batch?: number): Promise<void> {
    return this.#renewed(() => this.#renewer.fence(batch));
  }

  /** As `LeaseRenewer.markServed`. @throws StoreError `lost` */
  markServed(): Promise<void> {
    return this.#renewed(() => this.#renewer.markServed());
  }

  #renewed(renew: () => Promise<void>): Promise<void> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    return renew().catch((error: Error) => {
      throw this.#lost ?? this.#explained(error);
    });
  }

  /** Nothing rests on the lock. But the process that removed it may have taken the lease, so a renewal asks for that now. */
  lockLost(): void {
    // If it is lost, `onLost` says so.
    if (!this.#isReleased) this.#renewer.fence().catch(() => {});
  }

  /** Gives the lease back, unless it is lost. Idempotent. */
  async release(): Promise<void> {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#timer?.cancel();
    try {
      if (this.#lost === undefined) await this.#renewer.release();
      else this.#renewer.stop();
    } finally {
      await this.#lock.release();
    }
  }

  #lookLater(): void {
    const { clock, lookAtPlace } = this.#options;
    if (lookAtPlace === undefined || this.#lost !== undefined || this.#isReleased) return;
    this.#timer = clock.setTimer(this.#lookMs, () => {
      lookAtPlace()
        // A file system that cannot say is asked again the next time.
        .catch(() => 'same' as const)
        .then((place) => {
          if (place === 'same') this.#lookLater();
          else this.#lose(this.#moved(place));
        });
    });
  }

  /** Names lead elsewhere than to the files that are open: no broker will find what is written to these. */
  #moved(place: Exclude<StorePlace, 'same'>): StoreError {
    return new StoreError(
      'lost',
      `${this.#options.dir} has been ${place === 'replaced' ? 'replaced by a copy or a restored backup' : 'mounted anew'} while this broker was running: it leads to ` +
        'other files than those that are open. What was acknowledged last is in these. This broker must stop: put the former folder back if it is there, and start it again',
    );
  }

  #explained(error: Error): Error {
    if (!(error instanceof StoreError && error.code === 'lost')) return error;
    return new StoreError(
      'lost',
      `${error.message}. This broker no longer has the store in ${this.#options.dir}, and must stop`,
    );
  }

  #lose(error: Error): void {
    if (this.#lost !== undefined || this.#isReleased) return;
    this.#lost = error;
    this.#timer?.cancel();
    this.#options.onLost(error);
  }
}
