import { STUCK_LEASES } from './renewal-rules.js';

/** So many rounds are no chance: the two sides will not agree by themselves. */
const DISPUTE_ROUNDS = 2;
/** The longest that a holder which is not heard is left in peace. */
const MAX_WAIT_MS = 5 * 60_000;
/** Each side waits in each round. After twice that, what comes is another matter. */
const FORGOTTEN_WAITS = 4;

/** How a dispute stands. */
export interface DisputeNews {
  /** So often members that are not heard have taken the reign back. */
  readonly rounds: number;
  /** Who has done so now, and in which epoch. */
  readonly rival: string;
  readonly epoch: number;
  /** How long it may be silent before it is replaced. */
  readonly waitMs: number;
}

interface Rival {
  readonly member: string;
  readonly sinceMs: number;
  /** It took the reign from members that are heard, which had taken it from one that is not. That is not counted yet. */
  takesBack: boolean;
}

/**
 * Two sides of one group that share the store and do not hear each other, each with a majority of those that it knows: as
 * when they are attached to two NATS clusters. To either one the other's active looks cut off, and the reign would go back
 * and forth every few leases for ever. This notices it, and makes the turns longer.
 */
export class Dispute {
  readonly #leaseMs: number;
  readonly #waitMs: number;
  readonly #maxWaitMs: number;
  #epoch = 0;
  /** Who reigns, if it is not heard. */
  #rival: Rival | undefined;
  /** Members that are heard have the reign from one that is not. */
  #hasTaken = false;
  #rounds = 0;
  #roundMs = 0;

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
    this.#waitMs = leaseMs * STUCK_LEASES;
    this.#maxWaitMs = Math.max(this.#waitMs, MAX_WAIT_MS);
  }

  /** The reign has a new holder. @param isHeard it is this member, or one that was heard lately */
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

  /** There is no dispute with whoever is heard. */
  heard(member: string): void {
    if (member !== this.#rival?.member) return;
    this.#rival = undefined;
    this.#rounds = 0;
  }

  /** To be called at each look. @returns how it stands, when there was another round and that is no chance */
  news(nowMs: number): DisputeNews | undefined {
    const rival = this.#rival;
    // Who has just begun may not have been heard yet.
    if (!rival?.takesBack || nowMs - rival.sinceMs < this.#leaseMs) return undefined;
    rival.takesBack = false;
    this.#rounds = this.#roundsBy(nowMs) + 1;
    this.#roundMs = nowMs;
    if (this.#rounds < DISPUTE_ROUNDS) return undefined;
    const { member } = rival;
    return {
      rounds: this.#rounds,
      rival: member,
      epoch: this.#epoch,
      waitMs: this.patienceMs(member, nowMs),
    };
  }

  /** How long a holder that renews may be silent before it is replaced. */
  patienceMs(holder: string, nowMs: number): number {
    const extra = holder === this.#rival?.member ? this.#roundsBy(nowMs) - DISPUTE_ROUNDS + 1 : 0;
    return Math.min(this.#maxWaitMs, this.#waitMs * 2 ** Math.max(0, extra));
  }

  #roundsBy(nowMs: number): number {
    return nowMs - this.#roundMs > this.#maxWaitMs * FORGOTTEN_WAITS ? 0 : this.#rounds;
  }
}
