import { type LeaseState, leaseGroup } from '../../lease/lease-state.js';
import { parseHolder } from '../../lease/process-identity.js';
import { takeLease } from '../../lease/take-lease.js';
import { logDecision } from '../report/takeover-log.js';
import type { LeaseWatch, Opportunity } from '../watch/lease-watch.js';
import type { MemberParts } from './member-parts.js';
import type { Pause } from './pause.js';
import type { Presence } from './presence.js';
import type { Opening } from './takeover-course.js';
import { Term } from './term.js';

/** How many leases a candidate waits for another one that has the lock of an epoch, before it tries the next epoch. */
const LOCK_LEASES = 0.5;

export interface CandidateOptions {
  parts: MemberParts;
  watch: LeaseWatch;
  presence: Presence;
  pause: Pause;
  /** Called when this member has won the lease. The term ends before the promise resolves. */
  onWon: (term: Term, opening: Opening) => Promise<void>;
}

/** Contends for the lease: it takes the lock of the next epoch, and then renames the lease, which succeeds for one candidate only. */
export class Candidate {
  readonly #options: CandidateOptions;
  #epoch = 0;

  constructor(options: CandidateOptions) {
    this.#options = options;
  }

  /** The newest epoch that it has left to another candidate, or was active in. */
  get epoch(): number {
    return this.#epoch;
  }

  async contend(known: LeaseState, opportunity: Opportunity): Promise<void> {
    const { parts, watch, presence, pause } = this.#options;
    const { clock, log, lease, lock, holder, options } = parts;
    parts.onContend?.();
    const { signMs, active } = watch;
    const decidedMs = clock.monotonicMs();
    const epoch = Math.max(this.#epoch, known.epoch) + 1;
    let term: Term | undefined;
    const taken = await takeLease({
      ...{ clock, lease, lock, holder, known, epoch },
      length: { kind: 'group', leaseMs: options.leaseMs, group: leaseGroup(options.name) },
      onLockLost: (error) => term?.lockLost(error),
      isGivenUp: () => presence.isStopping,
    });
    if (taken === 'locked') {
      // Another candidate is taking this epoch. If it has died there, the next epoch has a lock of its own.
      this.#epoch = epoch;
      if (!presence.isStopping) await pause.pass(options.leaseMs * LOCK_LEASES);
      return;
    }
    if (taken === 'changed')
      log.debug(
        { epoch, reason: opportunity.why },
        'no takeover: the lease has changed since it was decided',
      );
    // The epoch is still free, and its lock is released.
    if (typeof taken === 'string') return;
    try {
      this.#epoch = epoch;
      // Nothing waits for this.
      void taken.lock.removeOlder();
      watch.took(epoch, taken.takenMs);
      const { kind: reasonKind, why: reason } = opportunity;
      const from = active === undefined ? null : (parseHolder(active)?.nodeName ?? null);
      const silentMs = signMs === undefined ? undefined : decidedMs - signMs;
      logDecision(log, { epoch, from, reason, silentMs });
      term = new Term(parts, taken.state, taken.takenMs);
      const opening = { reason, reasonKind, from, signMs, decidedMs, takenMs: clock.monotonicMs() };
      await this.#options.onWon(term, opening);
    } finally {
      await taken.lock.release();
    }
  }
}
