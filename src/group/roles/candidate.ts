import { type ReignState, sameReign } from '../../lease/lease.js';
import { parseHolder } from '../../lease/process-identity.js';
import { tellDecision } from '../report/takeover-log.js';
import type { Opportunity, ReignWatch } from '../watch/lease-watch.js';
import type { MemberParts } from './member-parts.js';
import type { Pause } from './pause.js';
import type { Presence } from './presence.js';
import type { Opening } from './takeover-course.js';
import { Tenure } from './term.js';

/** How long a candidate waits for another one that has the lock of an epoch, before it goes one epoch on. In leases. */
const LOCK_LEASES = 0.5;

export interface CandidateOptions {
  parts: MemberParts;
  watch: ReignWatch;
  presence: Presence;
  pause: Pause;
  /** The reign is this member's: it ends before the promise does. */
  reign: (tenure: Tenure, opening: Opening) => Promise<void>;
}

/** Contends for the reign: the lock of the next epoch first, then the rename that one of all wins. */
export class Candidate {
  readonly #options: CandidateOptions;
  #epoch = 0;

  constructor(options: CandidateOptions) {
    this.#options = options;
  }

  /** The newest that it has left to another candidate, or reigned in. */
  get epoch(): number {
    return this.#epoch;
  }

  async contend(known: ReignState, opportunity: Opportunity): Promise<void> {
    const { parts, watch, presence, pause } = this.#options;
    const { clock, lock, options } = parts;
    const { signMs, active } = watch;
    const decidedMs = clock.monotonicMs();
    const epoch = Math.max(this.#epoch, known.epoch) + 1;
    let tenure: Tenure | undefined;
    const held = await lock(epoch, (error) => tenure?.lockLost(error));
    if (held === undefined) {
      // Another candidate is at it. Should it have died there, the next epoch has a lock of its own.
      this.#epoch = epoch;
      if (!presence.isStopping) await pause.pass(options.leaseMs * LOCK_LEASES);
      return;
    }
    try {
      const taken = await this.#take(known, epoch, opportunity.why);
      // The epoch is still to be had, and its lock free again.
      if (taken === undefined) return;
      this.#epoch = epoch;
      // Nobody waits for it.
      void held.removeOlder();
      watch.took(epoch, taken.takenMs);
      const { kind: reasonKind, why: reason } = opportunity;
      const from = active === undefined ? null : (parseHolder(active)?.nodeName ?? null);
      const silentMs = signMs === undefined ? undefined : decidedMs - signMs;
      tellDecision(parts.log, { epoch, from, reason, silentMs });
      tenure = new Tenure(parts, taken.state, taken.takenMs);
      const opening = { reason, reasonKind, from, signMs, decidedMs, takenMs: clock.monotonicMs() };
      await this.#options.reign(tenure, opening);
    } finally {
      await held.release();
    }
  }

  /** @returns undefined if it is not to be had any more */
  async #take(
    known: ReignState,
    epoch: number,
    reason: string,
  ): Promise<{ state: ReignState; takenMs: number } | undefined> {
    const { clock, log, reign, holder } = this.#options.parts;
    const now = await reign.readFresh(holder);
    if (this.#options.presence.isStopping) return undefined;
    if (!sameReign(now, known)) {
      log.debug({ epoch, reason }, 'no takeover: the reign has changed since it was decided');
      return undefined;
    }
    const takenMs = clock.monotonicMs();
    const state = await reign.takeOver(known, epoch, holder);
    if (state !== 'lost') return { state, takenMs };
    // It may have been done, its answer lost, and asked for again. Nobody else makes this name.
    const wanted = { epoch, counter: 0, holder };
    if (!sameReign(await reign.readFresh(holder), wanted)) return undefined;
    await reign.settle(wanted);
    return { state: wanted, takenMs };
  }
}
