import { Bitmap } from './bitmap.js';
import { type ChannelCheck, MAX_SEQUENCE } from './channel-check.js';

/** What a subscription was given in one phase of the drill. */
export interface SubscriptionCounts {
  /** Came again, and was not marked as redelivered. */
  cameTwice: number;
  /** New, not marked as redelivered, and behind a later one. */
  outOfOrder: number;
}

/** Checks what one subscription, or one queue group, is given. */
export class SubscriptionCheck {
  /** For people. */
  readonly name: string;
  /** Marked as redelivered. */
  redelivered = 0;
  readonly #channel: ChannelCheck;
  readonly #received = new Bitmap();
  /** Of each member of a queue group; of one member else. */
  readonly #newest: number[];
  readonly #phases: SubscriptionCounts[] = [{ cameTwice: 0, outOfOrder: 0 }];

  constructor(name: string, channel: ChannelCheck, members: number) {
    this.name = name;
    this.#channel = channel;
    this.#newest = new Array<number>(members).fill(0);
  }

  beginPhase(): void {
    this.#phases.push({ cameTwice: 0, outOfOrder: 0 });
  }

  get phases(): readonly SubscriptionCounts[] {
    return this.#phases;
  }

  /** Different messages. */
  get receivedCount(): number {
    return this.#received.count;
  }

  /** The payload is `buffer[start, end)`. */
  received(
    member: number,
    sequence: number,
    isRedelivered: boolean,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    this.#channel.delivered(sequence, buffer, start, end);
    // Told as damage already.
    if (!(sequence > 0 && sequence <= MAX_SEQUENCE)) return;
    const counts = this.#phases.at(-1)!;
    const isNew = this.#received.add(sequence);
    if (isRedelivered) this.redelivered++;
    else if (!isNew) counts.cameTwice++;
    else if (sequence < this.#newest[member]!) counts.outOfOrder++;
    this.#newest[member] = Math.max(this.#newest[member]!, sequence);
  }

  /** Stored, and never given to it. For when all that is stored has been read. */
  get missing(): number {
    const channel = this.#channel;
    let count = 0;
    for (let sequence = Math.max(1, channel.firstSequence); sequence <= channel.lastSequence; sequence++) {
      if (channel.isStored(sequence) && !this.#received.has(sequence)) count++;
    }
    return count;
  }
}
