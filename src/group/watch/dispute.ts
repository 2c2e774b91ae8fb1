import { parseHolder } from '../../lease/process-identity.js';
import { STUCK_LEASES } from '../../lease/renewal-rules.js';

/** From this number of rounds on it is no coincidence: the two sides will not agree by themselves. */
const DISPUTE_ROUNDS = 2;
/** Limit of the time for which a holder of the other side may be silent. */
const MAX_WAIT_MS = 5 * 60_000;
/** Limit of members of the other side that are shown, the last ones. */
const MAX_RIVALS = 8;
/** Each side waits in each round. A takeover after more than this multiple of the wait is not part of the dispute. */
const FORGOTTEN_WAITS = 4;

/** News of a dispute: another round. */
export interface DisputeNews {
  /** How often members that are not heard have taken the lease back. */
  readonly rounds: number;
  /** The last of them, and its epoch. */
  readonly rival: string;
  readonly epoch: number;
  /** How long that member may be silent before it is replaced. */
  readonly waitMs: number;
}

/** A dispute that goes on, whichever side is active at the moment. */
export interface DisputeStanding {
  readonly rounds: number;
  /** Members that are not heard and have taken the lease back: the last one last. */
  readonly rivals: readonly string[];
  /** The epoch of the last one. */
  readonly epoch: number;
  /** Time of the first one, in monotonic milliseconds. */
  readonly sinceMs: number;
  /** How long an active of the other side may be silent before it is replaced. */
  readonly waitMs: number;
}

interface Rival {
  readonly member: string;
  readonly sinceMs: number;
  /** Whether it took the lease from members that are heard, which had taken it from one that is not. This is not counted yet. */
  takesBack: boolean;
}

/**
 * Notices a dispute: two sides of one group share the store and do not hear each other, as when they are attached to two NATS
 * clusters, and each has a majority of the members that it knows. To each side the other's active looks cut off, and the lease would
 * change sides every few leases for ever. So this makes the turns longer.
 */
export class Dispute {
  readonly #leaseMs: number;
  readonly #waitMs: number;
  readonly #maxWaitMs: number;
  #epoch = 0;
  /** The active, if it is not heard. */
  #rival: Rival | undefined;
  /** Whether members that are heard have taken the lease from one that is not. */
  #hasTaken = false;
  #rounds = 0;
  #roundMs = 0;
  /** The rounds so far: the members, the beginning, and the epoch of the last. */
  #rivals: readonly string[] = [];
  #sinceMs = 0;
  #roundEpoch = 0;

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
    this.#waitMs = leaseMs * STUCK_LEASES;
    this.#maxWaitMs = Math.max(this.#waitMs, MAX_WAIT_MS);
  }

  /** Notes a new holder of the lease. @param isHeard whether it is this member, or was heard lately */
  passed(epoch: number, holder: string, isHeard: boolean, nowMs: number): void {
    // A mount may show an old state.
    if (epoch <= this.#epoch) return;
    this.#epoch = epoch;
    if (isHeard) {
      this.#hasTaken ||= this.#rival !== undefined;
      this.#rival = undefined;
      return;
    }
    const takesBack = this.#hasTaken || this.#rival?.takesBack === true;
    this.#rival = { member: holder, sinceMs: nowMs, takesBack };
    this.#hasTaken = false;
  }

  /**
   * Notes a member that is heard, with which there is no dispute.
   *
   * @param isNew whether it was not heard before: a node of the other side may have been restarted on this one. A node that was heard
   *   all the time is not of the other side, whatever its name
   */
  heard(member: string, isNew: boolean): void {
    const terms = member === this.#rival?.member;
    if (terms) this.#rival = undefined;
    const isRival = (rival: string): boolean =>
      rival === member || (isNew && nodeOf(rival) === nodeOf(member));
    if (terms || this.#rivals.some(isRival)) this.#rounds = 0;
  }

  /** Call this at each look. @returns the state of the dispute, after another round that is no coincidence */
  news(nowMs: number): DisputeNews | undefined {
    const rival = this.#rival;
    // A holder that has just begun may not have been heard yet.
    if (!rival?.takesBack || nowMs - rival.sinceMs < this.#leaseMs) return undefined;
    rival.takesBack = false;
    const { member } = rival;
    this.#rounds = this.#roundsBy(nowMs) + 1;
    this.#roundMs = nowMs;
    this.#roundEpoch = this.#epoch;
    const isFirst = this.#rounds === 1;
    if (isFirst) this.#sinceMs = rival.sinceMs;
    const before = isFirst ? [] : this.#rivals.filter((other) => other !== member);
    this.#rivals = [...before, member].slice(-MAX_RIVALS);
    if (this.#rounds < DISPUTE_ROUNDS) return undefined;
    return {
      rounds: this.#rounds,
      rival: member,
      epoch: this.#epoch,
      waitMs: this.patienceMs(member, nowMs),
    };
  }

  /** The state of the dispute. @returns undefined if there is none */
  standing(nowMs: number): DisputeStanding | undefined {
    const rounds = this.#roundsBy(nowMs);
    if (rounds < DISPUTE_ROUNDS) return undefined;
    return {
      rounds,
      rivals: this.#rivals,
      epoch: this.#roundEpoch,
      sinceMs: this.#sinceMs,
      waitMs: this.#patienceAfter(rounds),
    };
  }

  /** How long a holder that renews may be silent before it is replaced. */
  patienceMs(holder: string, nowMs: number): number {
    return this.#patienceAfter(holder === this.#rival?.member ? this.#roundsBy(nowMs) : 0);
  }

  #patienceAfter(rounds: number): number {
    const extra = Math.max(0, rounds - DISPUTE_ROUNDS + 1);
    return Math.min(this.#maxWaitMs, this.#waitMs * 2 ** extra);
  }

  #roundsBy(nowMs: number): number {
    return nowMs - this.#roundMs > this.#maxWaitMs * FORGOTTEN_WAITS ? 0 : this.#rounds;
  }
}

function nodeOf(member: string): string {
  return parseHolder(member)?.nodeName ?? member;
}
