import { parseHolder } from '../../lease/process-identity.js';
import { STUCK_LEASES } from '../../lease/renewal-rules.js';

/** So many rounds are no chance: the two sides will not agree by themselves. */
const DISPUTE_ROUNDS = 2;
/** The longest that a holder which is not heard is left in peace. */
const MAX_WAIT_MS = 5 * 60_000;
/** Of the other side that are told by name, the last ones. */
const MAX_RIVALS = 8;
/** Each side waits in each round. After twice that, what comes is another matter. */
const FORGOTTEN_WAITS = 4;

/** How a dispute stands. */
export interface DisputeNews {
  /** So often members that are not heard have taken the lease back. */
  readonly rounds: number;
  /** Who has done so now, and in which epoch. */
  readonly rival: string;
  readonly epoch: number;
  /** How long it may be silent before it is replaced. */
  readonly waitMs: number;
}

/** A dispute that goes on, whichever side terms at the moment. */
export interface DisputeStanding {
  readonly rounds: number;
  /** Members that are not heard and have taken the lease back: the last one last. */
  readonly rivals: readonly string[];
  /** In which the last one did. */
  readonly epoch: number;
  /** When the first one did, monotonic milliseconds. */
  readonly sinceMs: number;
  /** How long an active of the other side may be silent before it is replaced. */
  readonly waitMs: number;
}

interface Rival {
  readonly member: string;
  readonly sinceMs: number;
  /** It took the lease from members that are heard, which had taken it from one that is not. That is not counted yet. */
  takesBack: boolean;
}

/**
 * Two sides of one group that share the store and do not hear each other, each with a majority of those that it knows: as
 * when they are attached to two NATS clusters. To either one the other's active looks cut off, and the lease would go back
 * and forth every few leases for ever. This notices it, and makes the turns longer.
 */
export class Dispute {
  readonly #leaseMs: number;
  readonly #waitMs: number;
  readonly #maxWaitMs: number;
  #epoch = 0;
  /** Who terms, if it is not heard. */
  #rival: Rival | undefined;
  /** Members that are heard have the lease from one that is not. */
  #hasTaken = false;
  #rounds = 0;
  #roundMs = 0;
  /** Of the rounds: who, since when, and the epoch of the last. */
  #rivals: readonly string[] = [];
  #sinceMs = 0;
  #roundEpoch = 0;

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
    this.#waitMs = leaseMs * STUCK_LEASES;
    this.#maxWaitMs = Math.max(this.#waitMs, MAX_WAIT_MS);
  }

  /** The lease has a new holder. @param isHeard it is this member, or one that was heard lately */
  passed(epoch: number, holder: string, isHeard: boolean, nowMs: number): void {
    // A mount may remember what is over.
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
   * There is no dispute with whoever is heard.
   *
   * @param isNew it was not heard before: a node of the other side may have been started again, on this one. A node that is
   *   heard all the time is not one of them, whatever its name
   */
  heard(member: string, isNew: boolean): void {
    const terms = member === this.#rival?.member;
    if (terms) this.#rival = undefined;
    const isRival = (rival: string): boolean =>
      rival === member || (isNew && nodeOf(rival) === nodeOf(member));
    if (terms || this.#rivals.some(isRival)) this.#rounds = 0;
  }

  /** To be called at each look. @returns how it stands, when there was another round and that is no chance */
  news(nowMs: number): DisputeNews | undefined {
    const rival = this.#rival;
    // Who has just begun may not have been heard yet.
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

  /** @returns undefined if there is none */
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
