import { Bitmap } from './bitmap.js';

/** What became of the messages of one publisher in one phase of the drill. */
export interface LedgerCounts {
  sent: number;
  acked: number;
  /** How many were acknowledged, and are not stored. */
  lost: number;
  /** How many are stored at more than one sequence. */
  storedTwice: number;
  /** How many were sent once, and are stored in another order than sent. */
  outOfOrder: number;
}

/** Limit of example message numbers per kind of problem, for people. */
const MAX_EXAMPLES = 5;

/**
 * The messages of one publisher: which were sent, which were acknowledged, and, at the end, which are stored. They are kept as bits,
 * since a drill may send millions. Messages are numbered from 0, and those of a phase are consecutive.
 */
export class Ledger {
  /** Name for people. */
  readonly name: string;
  /** Number of the publisher in payloads. */
  readonly publisher: number;
  /** How many publishes were answered with an error. */
  refusals = 0;
  /** The last error. */
  lastRefusal = '';
  /** How often a message was sent again. */
  retries = 0;
  readonly examples = { lost: [] as number[], storedTwice: [] as number[] };

  readonly #acked = new Bitmap();
  readonly #sentAgain = new Bitmap();
  readonly #stored = new Bitmap();
  readonly #phaseStarts = [0];
  readonly #storedTwice: number[] = [];
  readonly #outOfOrder: number[] = [];
  #sent = 0;
  /** The highest stored message that was sent once. */
  #lastOnce = -1;

  constructor(name: string, publisher: number) {
    this.name = name;
    this.publisher = publisher;
  }

  get sent(): number {
    return this.#sent;
  }

  get ackedCount(): number {
    return this.#acked.count;
  }

  get storedCount(): number {
    return this.#stored.count;
  }

  /** Begins the next phase with the next message. The first phase is 0. */
  beginPhase(): void {
    this.#phaseStarts.push(this.#sent);
  }

  /** Notes a new message. @returns its number */
  send(): number {
    return this.#sent++;
  }

  sendAgain(index: number): void {
    this.retries++;
    this.#sentAgain.add(index);
  }

  /** Notes an ack. @returns whether it is the first ack of this message */
  ack(index: number): boolean {
    return index < this.#sent && this.#acked.add(index);
  }

  isAcked(index: number): boolean {
    return this.#acked.has(index);
  }

  refuse(error: string): void {
    this.refusals++;
    this.lastRefusal = error;
  }

  /** Notes a stored message; they come in the order of sequences. @returns false if it was never sent */
  store(index: number): boolean {
    if (index >= this.#sent) return false;
    const phase = this.#phaseOf(index);
    if (!this.#stored.add(index)) {
      this.#storedTwice[phase] = (this.#storedTwice[phase] ?? 0) + 1;
      keep(this.examples.storedTwice, index);
    } else if (!this.#sentAgain.has(index)) {
      // A message that was sent again may well be stored behind later ones, so it does not count here.
      if (index < this.#lastOnce) this.#outOfOrder[phase] = (this.#outOfOrder[phase] ?? 0) + 1;
      this.#lastOnce = Math.max(this.#lastOnce, index);
    }
    return true;
  }

  isStored(index: number): boolean {
    return this.#stored.has(index);
  }

  /** The counts of each phase. Call it after every stored message was noted. */
  counts(): LedgerCounts[] {
    this.examples.lost.length = 0;
    return this.#phaseStarts.map((start, phase) => {
      const end = this.#phaseStarts[phase + 1] ?? this.#sent;
      let acked = 0;
      let lost = 0;
      for (let index = start; index < end; index++) {
        if (!this.#acked.has(index)) continue;
        acked++;
        if (this.#stored.has(index)) continue;
        lost++;
        keep(this.examples.lost, index);
      }
      return {
        sent: end - start,
        acked,
        lost,
        storedTwice: this.#storedTwice[phase] ?? 0,
        outOfOrder: this.#outOfOrder[phase] ?? 0,
      };
    });
  }

  #phaseOf(index: number): number {
    const starts = this.#phaseStarts;
    let phase = starts.length - 1;
    while (phase > 0 && starts[phase] > index) phase--;
    return phase;
  }
}

function keep(examples: number[], index: number): void {
  if (examples.length < MAX_EXAMPLES) examples.push(index);
}
