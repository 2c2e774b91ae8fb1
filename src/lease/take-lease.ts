import type { Clock } from '../clock/clock.js';
import type { CandidateLock, HeldLock } from './candidate-lock.js';
import type { Lease } from './lease.js';
import { begun, type LeaseLength, type LeaseState, type NewTerm, sameLease } from './lease-state.js';

export interface TakeLeaseOptions {
  clock: Clock;
  lease: Lease;
  lock: CandidateLock;
  /** The name that the lease gets: see process-identity.ts. */
  holder: string;
  length: LeaseLength;
  /** What the lease was when it was found free to take. */
  known: LeaseState;
  /** The epoch to begin: higher than that of `known`. */
  epoch: number;
  /** The lock was removed or replaced while it was held. */
  onLockLost: (error: Error) => void;
  /** Asked right before the rename: the lease is no longer wanted. */
  isGivenUp?: () => boolean;
}

/** A lease that was just won, with the lock of its epoch. */
export interface TakenLease {
  state: LeaseState;
  /** When the rename that won it began, by the clock's monotonic milliseconds. */
  takenMs: number;
  lock: HeldLock;
}

/** Why a try did not win: another has the lock of that epoch, the lease is no longer as it was known, or it was given up. */
export type NotTaken = 'locked' | 'changed' | 'given up';

/**
 * Tries once to take the lease: the lock of the new epoch first, so that candidates do not stampede; one more look, past what a
 * mount remembers; then the rename, which one of all candidates wins.
 */
export async function takeLease(options: TakeLeaseOptions): Promise<TakenLease | NotTaken> {
  const lock = await options.lock(options.epoch, options.onLockLost);
  if (lock === undefined) return 'locked';
  let isWon = false;
  try {
    const taken = await rename(options);
    if (typeof taken === 'string') return taken;
    isWon = true;
    return { ...taken, lock };
  } finally {
    if (!isWon) await lock.release();
  }
}

async function rename(options: TakeLeaseOptions): Promise<Omit<TakenLease, 'lock'> | NotTaken> {
  const { clock, lease, holder, length, known, epoch, isGivenUp } = options;
  const now = await lease.readFresh(holder);
  if (isGivenUp?.()) return 'given up';
  if (!sameLease(now, known)) return 'changed';
  const takenMs = clock.monotonicMs();
  const term: NewTerm = { epoch, holder, ...length };
  const state = await lease.takeOver(known, term);
  if (state !== 'lost') return { state, takenMs };
  // A network file system may have done it, lost the answer, and asked again. No other process makes this name.
  const wanted = begun(known, term);
  if (!sameLease(await lease.readFresh(holder), wanted)) return 'changed';
  await lease.settle(wanted);
  return { state: wanted, takenMs };
}
