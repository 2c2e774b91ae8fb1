import { must } from '../util/assert.js';
import { Bitmap } from './bitmap.js';
import { type ChannelCheck, MAX_SEQUENCE } from './channel-check.js';

/** The counts of a subscription in one phase of the drill. */
export interface SubscriptionCounts {
  /** Messages that came again without the mark of a redelivery. */
  cameTwice: number;
  /** New messages without the mark that came after a later one. */
  outOfOrder: number;
}

/** Checks the deliveries to one subscription, or to one queue group. */
export class SubscriptionCheck {
  /** Name for people. */
  readonly name: string;
  /** How many messages came with the mark of a redelivery. */
  redelivered = 0;
  readonly #channel: ChannelCheck;
  readonly #received = new Bitmap();
  /** The highest sequence of each member. */
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

  /** How many different messages have come. */
  get receivedCount(): number {
    return this.#received.count;
  }

  /** Notes a delivery. The payload is `buffer[start, end)`. */
  received(
    member: number,
    sequence: number,
    isRedelivered: boolean,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    this.#channel.delivered(sequence, buffer, start, end);
    // The channel's check has counted this as damage.
    if (!(sequence > 0 && sequence <= MAX_SEQUENCE)) return;
    const counts = must(this.#phases.at(-1), 'there is a phase from the start');
    const isNew = this.#received.add(sequence);
    if (isRedelivered) this.redelivered++;
    else if (!isNew) counts.cameTwice++;
    else if (sequence < this.#newest[member]) counts.outOfOrder++;
    this.#newest[member] = Math.max(this.#newest[member], sequence);
  }

  /** How many stored messages were never delivered. Read it after all stored messages were read. */
  get missing(): number {
    const channel = this.#channel;
    let count = 0;
    for (let sequence = Math.max(1, channel.firstSequence); sequence <= channel.lastSequence; sequence++) {
      if (channel.isStored(sequence) && !this.#received.has(sequence)) count++;
    }
    return count;
  }
}
