// States of the lease for tests that do not mean a particular length.

import type { LeaseState, NewTerm } from '../../src/lease/lease-state.js';

/** A term of a group's member. */
export function newTerm(epoch: number, holder: string, leaseMs = 600): NewTerm {
  return { epoch, holder, kind: 'group', leaseMs };
}

/** A state in the course of one. */
export function leaseState(
  state: Pick<LeaseState, 'epoch' | 'counter' | 'holder'> & Partial<LeaseState>,
): LeaseState {
  return { servedEpoch: 0, servedBatch: 0, kind: 'group', leaseMs: 600, ...state };
}
