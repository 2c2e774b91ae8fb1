import { Bitmap } from './bitmap.js';
import type { Ledger } from './ledger.js';
import { codeOf, newPayloadView, readPayload } from './payload.js';

/** Limit of the sequences of a drill: a higher one is damage. */
export const MAX_SEQUENCE = 2 ** 28 - 1;
const FIRST_SEQUENCES = 4096;

/**
 * Compares one channel with the messages that were sent on it. Subscribers report deliveries at any time and in any order. At the end
 * a new subscriber reads all stored messages in order.
 */
export class ChannelCheck {
  readonly channel: string;
  /** The sequence after which this drill begins. All other sequences are relative to it. */
  readonly base: number;
  readonly ledgers: readonly Ledger[];
  /** How many messages the read at the end has found. */
  storedCount = 0;
  /** The lowest stored sequence; 0 if nothing is stored. */
  firstSequence = 0;
  /** The highest stored sequence; 0 if nothing is stored. */
  lastSequence = 0;
  /** How many sequences between the first and the last have no message. */
  gaps = 0;
  /** How many messages have bytes that this drill did not write. */
  damaged = 0;
  /** How many intact messages no publisher has sent. */
  neverSent = 0;
  /** How often a sequence had another message than before. */
  twoMeanings = 0;

  readonly #run: string;
  readonly #stored = new Bitmap();
  readonly #view = newPayloadView();
  /** The code of each sequence's message; 0 if it has not been seen. */
  #codes = new Uint32Array(FIRST_SEQUENCES);

  constructor(channel: string, run: string, ledgers: readonly Ledger[], base = 0) {
    this.channel = channel;
    this.base = base;
    this.#run = run;
    this.ledgers = ledgers;
  }

  /** Notes a delivery to a subscriber. The payload is `buffer[start, end)`. */
  delivered(sequence: number, buffer: Buffer, start: number, end: number): void {
    this.#read(sequence, buffer, start, end);
  }

  /** Notes the next stored message. The payload is `buffer[start, end)`. */
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

  /** How many messages the limits of the channel have removed. Whether these were lost cannot be checked. */
  get removed(): number {
    return Math.max(0, this.firstSequence - 1);
  }

  /** How many sequences were delivered to a subscriber, and are not stored. */
  get shownAndGone(): number {
    let count = 0;
    for (let sequence = Math.max(1, this.firstSequence); sequence < this.#codes.length; sequence++) {
      if (this.#codes[sequence] !== 0 && !this.#stored.has(sequence)) count++;
    }
    return count;
  }

  /** @returns whether the payload is a message of this drill */
  #read(sequence: number, buffer: Buffer, start: number, end: number): boolean {
    const view = this.#view;
    if (!(sequence > 0 && sequence <= MAX_SEQUENCE) || !readPayload(buffer, start, end, this.#run, view)) {
      this.damaged++;
      return false;
    }
    if (sequence >= this.#codes.length) this.#grow(sequence + 1);
    const code = codeOf(view) >>> 0;
    const known = this.#codes[sequence];
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
