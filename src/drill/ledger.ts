import { Bitmap } from './bitmap.js';

/** What became of the messages that one publisher sent in one phase of the drill. */
export interface LedgerCounts {
  sent: number;
  acked: number;
  /** Acknowledged, and not stored. */
  lost: number;
  /** Stored at more than one sequence. */
  storedTwice: number;
  /** Sent once each, and stored in another order than sent. */
  outOfOrder: number;
}

/** Message numbers of each kind of problem that are kept for people. */
const MAX_EXAMPLES = 5;

/**
 * What one publisher has sent, what of it was acknowledged, and, at the end, what of it is stored: bits, since a drill may send
 * millions. Its messages are numbered from 0; those of a phase follow each other.
 */
export class Ledger {
  /** For people. */
  readonly name: string;
  /** As payloads have it. */
  readonly publisher: number;
  /** Publishes that were answered with an error, and the last of these. */
  refusals = 0;
  lastRefusal = '';
  /** Times that a message was sent again. */
  retries = 0;
  readonly examples = { lost: [] as number[], storedTwice: [] as number[] };

  readonly #acked = new Bitmap();
  readonly #sentAgain = new Bitmap();
  readonly #stored = new Bitmap();
  readonly #phaseStarts = [0];
  readonly #storedTwice: number[] = [];
  readonly #outOfOrder: number[] = [];
  #sent = 0;
  /** The newest of those that were sent once, and are stored. */
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

  /** What is sent from now on belongs to the next phase. The first phase is 0. */
  beginPhase(): void {
    this.#phaseStarts.push(this.#sent);
  }

  /** @returns the number of the message that is sent now */
  send(): number {
    return this.#sent++;
  }

  sendAgain(index: number): void {
    this.retries++;
    this.#sentAgain.add(index);
  }

  /** @returns whether it is the first ack of this message */
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

  /** Found in the store, which is read in the order of sequences. @returns false if it was never sent */
  store(index: number): boolean {
    if (index >= this.#sent) return false;
    const phase = this.#phaseOf(index);
    if (!this.#stored.add(index)) {
      this.#storedTwice[phase] = (this.#storedTwice[phase] ?? 0) + 1;
      keep(this.examples.storedTwice, index);
    } else if (!this.#sentAgain.has(index)) {
      // What was sent again may well come behind what was sent after it.
      if (index < this.#lastOnce) this.#outOfOrder[phase] = (this.#outOfOrder[phase] ?? 0) + 1;
      this.#lastOnce = Math.max(this.#lastOnce, index);
    }
    return true;
  }

  isStored(index: number): boolean {
    return this.#stored.has(index);
  }

  /** For each phase. To be called when everything that is stored has been told. */
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
    while (phase > 0 && starts[phase]! > index) phase--;
    return phase;
  }
}

function keep(examples: number[], index: number): void {
  if (examples.length < MAX_EXAMPLES) examples.push(index);
}
