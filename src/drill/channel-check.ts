import { Bitmap } from './bitmap.js';
import type { Ledger } from './ledger.js';
import { codeOf, newPayloadView, readPayload } from './payload.js';

/** Sequences above are no sequences of a drill: there are not so many messages. */
export const MAX_SEQUENCE = 2 ** 28 - 1;
const FIRST_SEQUENCES = 4096;

/**
 * Holds one channel against what was sent on it. Subscribers tell what they are given, at any time and in any order; at the end
 * somebody new reads all that is stored, in order.
 */
export class ChannelCheck {
  readonly channel: string;
  /** Sequence behind which this drill begins. All others are counted from it. */
  readonly base: number;
  readonly ledgers: readonly Ledger[];
  /** In all, by the read at the end. */
  storedCount = 0;
  /** Bounds of what is stored; 0 if nothing is. */
  firstSequence = 0;
  lastSequence = 0;
  /** Sequences between the bounds that hold nothing. */
  gaps = 0;
  /** Messages whose bytes are no message of this drill. */
  damaged = 0;
  /** Whole, and of no publisher that sent it. */
  neverSent = 0;
  /** Times that a sequence had another message than it had before. */
  twoMeanings = 0;

  readonly #run: string;
  readonly #stored = new Bitmap();
  readonly #view = newPayloadView();
  /** By sequence, the code of its message; 0 if nobody has seen it. */
  #codes = new Uint32Array(FIRST_SEQUENCES);

  constructor(channel: string, run: string, ledgers: readonly Ledger[], base = 0) {
    this.channel = channel;
    this.base = base;
    this.#run = run;
    this.ledgers = ledgers;
  }

  /** A subscriber was given it. The payload is `buffer[start, end)`. */
  delivered(sequence: number, buffer: Buffer, start: number, end: number): void {
    this.#read(sequence, buffer, start, end);
  }

  /** The next one that is stored. */
  stored(sequence: number, buffer: Buffer, start: number, end: number): void {
    if (this.firstSequence === 0) this.firstSequence = sequence;
    else this.gaps += Math.max(0, sequence - this.lastSequence - 1);
    this.lastSequence = sequence;
    this.storedCount++;
    if (!this.#read(sequence, buffer, start, end)) return;
    this.#stored.add(sequence);
    const { publisher, index } = this.#view;
    const ledger = this.ledgers.find((known) => known.publisher === publisher);
    if (ledger?.store(index) !== true) this.neverSent++;
  }

  isStored(sequence: number): boolean {
    return this.#stored.has(sequence);
  }

  /** Gone from the beginning: limits of the channel have removed them. What was acknowledged of these cannot be checked. */
  get removed(): number {
    return Math.max(0, this.firstSequence - 1);
  }

  /** Sequences that a subscriber was given, and that are not stored. */
  get shownAndGone(): number {
    let count = 0;
    for (let sequence = Math.max(1, this.firstSequence); sequence < this.#codes.length; sequence++) {
      if (this.#codes[sequence] !== 0 && !this.#stored.has(sequence)) count++;
    }
    return count;
  }

  /** @returns whether it is a message of this drill */
  #read(sequence: number, buffer: Buffer, start: number, end: number): boolean {
    const view = this.#view;
    if (!(sequence > 0 && sequence <= MAX_SEQUENCE) || !readPayload(buffer, start, end, this.#run, view)) {
      this.damaged++;
      return false;
    }
    if (sequence >= this.#codes.length) this.#grow(sequence + 1);
    const code = codeOf(view) >>> 0;
    const known = this.#codes[sequence]!;
    if (known === 0) this.#codes[sequence] = code;
    else if (known !== code) this.twoMeanings++;
    return true;
  }

  #grow(length: number): void {
    const larger = new Uint32Array(Math.max(length, this.#codes.length * 2));
    larger.set(this.#codes);
    this.#codes = larger;
  }
}
