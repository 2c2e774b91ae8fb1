import { StoreError } from '../files/store-error.js';
import type { Lease } from './lease.js';
import { type LeaseState, renewed, sameLease } from './lease-state.js';

/** How many times the lease is renewed in its own length when nothing is written. */
export const RENEWALS_PER_LEASE = 3;
/**
 * Leases after which one sign of life alone no longer counts: a store that answers nothing, or an event loop that does not
 * turn while another thread renews for it. A loop that stands still sends no heartbeats either, so after this time the
 * other members take it for cut off, renewed or not.
 */
export const STUCK_LEASES = 5;

/**
 * Renews once, by the file system's own waiting.
 *
 * @param batch the newest batch of this term that is durable: the lease's name says so from now on. 0 says nothing new
 * @returns the new state
 * @throws Error once the term is over: another has it (StoreError `lost`), or the store cannot be reached
 */
export async function renew(lease: Lease, known: LeaseState, batch: number): Promise<LeaseState> {
  let next: LeaseState | 'lost';
  try {
    next = await lease.renew(known, batch);
  } catch (error) {
    throw unreachable(error);
  }
  if (next !== 'lost') return next;
  return resolveLost(renewed(known, batch), await lease.read().catch(() => undefined));
}

/** The same in this thread, which waits. The file system must be able to. */
export function renewNow(lease: Lease, known: LeaseState, batch: number): LeaseState {
  let next: LeaseState | 'lost' | undefined;
  try {
    next = lease.renewNow(known, batch);
  } catch (error) {
    throw unreachable(error);
  }
  if (next === undefined) throw new Error('This file system cannot rename without waiting');
  return next === 'lost' ? resolveLost(renewed(known, batch), lookNow(lease)) : next;
}

function lookNow(lease: Lease): LeaseState | undefined {
  try {
    return lease.readNow();
  } catch {
    return undefined;
  }
}

/**
 * The known name was not there. A network file system may have renamed it, lost the answer, and asked again: no other process
 * makes the next name, since only one thread of the holder renews at a time.
 *
 * @param wanted what the renewal makes of the state
 * @param found by a look after that
 */
function resolveLost(wanted: LeaseState, found: LeaseState | undefined): LeaseState {
  if (found !== undefined && sameLease(found, wanted)) return wanted;
  const by = found === undefined ? 'somebody' : `${found.holder} in epoch ${found.epoch}`;
  throw new StoreError('lost', `The lease has been taken over by ${by}`);
}

function unreachable(error: unknown): Error {
  return new Error(`The lease cannot be renewed: ${(error as Error).message}`, { cause: error });
}
