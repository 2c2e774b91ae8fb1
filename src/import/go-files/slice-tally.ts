import { FILE_HEADER_BYTES, RECORD_HEADER_BYTES } from './record-reader.js';
import { MESSAGE_OVERHEAD_BYTES, type MessagePlace } from './slice.js';

/** Each crash of the old server can leave one. */
const MAX_STEPS = 10_000;

/**
 * Where sequences go back in a slice. A crash can leave messages behind the last one that the index knew, which were never acknowledged;
 * the server started again gives their sequences to others. So a record counts only if no later one has its sequence or a lower one,
 * and if the next slice begins behind it. What follows the index replaces nothing.
 */
export class StepsBack {
  readonly #before: number;
  #isBehindIndex = false;
  readonly #offsets: number[] = [];
  readonly #sequences: number[] = [];
  #last = 0;
  #isReplaced = false;
  /** While records are asked for in the order of their offsets. */
  #at = 0;
  #limits: number[] | undefined;
  #kept = 0;

  constructor(before: number) {
    this.#before = before;
  }

  get areThere(): boolean {
    return this.#isReplaced;
  }

  look({ sequence, offset }: MessagePlace): void {
    if (sequence > this.#last && sequence < this.#before) {
      this.#last = sequence;
      return;
    }
    this.#isReplaced = true;
    if (sequence >= this.#before || this.#isBehindIndex || this.#offsets.length === MAX_STEPS) return;
    this.#offsets.push(offset);
    this.#sequences.push(sequence);
    this.#last = sequence;
  }

  /** What is looked at from now on, the index does not list. */
  endIndex(): void {
    this.#isBehindIndex = true;
  }

  /** Whether a record counts. Asked once for each, in the order of their offsets. */
  counts({ sequence, offset }: MessagePlace): boolean {
    this.#limits ??= this.#lowestLater();
    while (this.#at < this.#offsets.length && offset >= this.#offsets[this.#at]) this.#at++;
    if (sequence >= this.#limits[this.#at] || sequence <= this.#kept) return false;
    this.#kept = sequence;
    return true;
  }

  /** For each step, the lowest sequence from there on. */
  #lowestLater(): number[] {
    const limits = [this.#before];
    for (const sequence of this.#sequences.toReversed())
      limits.push(Math.min(limits[limits.length - 1], sequence));
    return limits.reverse();
  }
}

/** Counts the messages of a slice, and finds the parts of its data file that hold none. */
export class SliceTally {
  firstSequence = 0;
  lastSequence = 0;
  count = 0;
  /** As the Go server counts them. */
  bytes = 0;
  replaced = 0;
  /** [start, end, start, end, ...], ascending. */
  readonly holes: number[] = [];
  readonly #steps: StepsBack | undefined;
  #end = FILE_HEADER_BYTES;

  /** @param steps undefined if all messages count */
  constructor(steps: StepsBack | undefined) {
    this.#steps = steps;
  }

  /** @returns true, to go on */
  add(place: MessagePlace): boolean {
    const { sequence, offset, payloadBytes } = place;
    const end = offset + RECORD_HEADER_BYTES + payloadBytes;
    if (this.#steps?.counts(place) === false) {
      this.replaced++;
      this.#addHole(this.#end, end);
    } else {
      if (offset > this.#end) this.#addHole(this.#end, offset);
      if (this.count === 0) this.firstSequence = sequence;
      this.lastSequence = sequence;
      this.count++;
      this.bytes += payloadBytes + MESSAGE_OVERHEAD_BYTES;
    }
    this.#end = end;
    return true;
  }

  #addHole(start: number, end: number): void {
    const { holes } = this;
    if (holes.length > 0 && holes[holes.length - 1] === start) holes[holes.length - 1] = end;
    else holes.push(start, end);
  }
}
