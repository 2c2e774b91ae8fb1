import { isMissing, StoreError } from '../files/store-error.js';
import { goneText } from './held.js';
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
  return resolveLost(lease, renewed(known, batch), await lease.read().catch(whatIsThere));
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
  return next === 'lost' ? resolveLost(lease, renewed(known, batch), lookNow(lease)) : next;
}

/** What a look has found: `gone` if not even the folder of the lease is there; undefined if it could not say. */
type Found = LeaseState | 'gone' | undefined;

function lookNow(lease: Lease): Found {
  try {
    return lease.readNow();
  } catch (error) {
    return whatIsThere(error);
  }
}

function whatIsThere(error: unknown): Found {
  return isMissing(error) ? 'gone' : undefined;
}

/**
 * The known name was not there. A network file system may have renamed it, lost the answer, and asked again: no other process
 * makes the next name, since only one thread of the holder renews at a time.
 *
 * @param wanted what the renewal makes of the state
 * @param found by a look after that
 */
function resolveLost(lease: Lease, wanted: LeaseState, found: Found): LeaseState {
  if (found === 'gone') throw new StoreError('lost', goneText(lease.path));
  if (found !== undefined && sameLease(found, wanted)) return wanted;
  const by = found === undefined ? 'another broker' : `${found.holder} in epoch ${found.epoch}`;
  throw new StoreError('lost', `The lease has been taken over by ${by}`);
}

function unreachable(error: unknown): Error {
  return new Error(`The lease cannot be renewed: ${(error as Error).message}`, { cause: error });
}
