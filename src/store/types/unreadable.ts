import { DamageError } from '../../files/store-error.js';

/** Messages that could not be read when they were needed. */
export interface UnreadableMessages {
  readonly channel: string;
  readonly first: number;
  readonly last: number;
  /** Why, with file and offset. */
  readonly why: string;
  readonly path: string | undefined;
  /** In the file, bytes; undefined where the file system gave an error instead of bytes. */
  readonly offset: number | undefined;
}

/** A log that messages are read from. */
export interface ReadLog {
  readonly name: string;
  readonly firstSequence: number;
  readonly isDeleted: boolean;
}

/** As people call them. */
export function namesOf({
  channel,
  first,
  last,
}: Omit<UnreadableMessages, 'why' | 'path' | 'offset'>): string {
  return `${first === last ? `message ${first}` : `messages ${first} to ${last}`} of channel ${channel}`;
}

/** The limit for all logs together. What is beyond it is not noted: a store in that state is to be verified, not listed. */
const MAX_PLACES = 1000;

interface Place extends UnreadableMessages {
  readonly log: ReadLog;
}

/**
 * The messages that cannot be read, as far as reading them was tried. Health and metrics report them: a subscriber stands
 * still there. What is read after all, or dropped by a limit, or gone with its channel, is taken out.
 */
export class Unreadable {
  #places: Place[] = [];

  /** @returns the messages, the first time that any of them could not be read; undefined if that is known or cannot be kept */
  note(
    log: ReadLog,
    first: number,
    last: number,
    path: string,
    error: Error,
  ): UnreadableMessages | undefined {
    if (this.isKnown(log, first) || this.#places.length >= MAX_PLACES) return undefined;
    const isDamage = error instanceof DamageError;
    const place: Place = {
      log,
      channel: log.name,
      first,
      last,
      why: isDamage ? `${error.path}, byte ${error.offset}: ${error.what}` : `${path}: ${error.message}`,
      path: isDamage ? error.path : path,
      offset: isDamage ? error.offset : undefined,
    };
    this.#places.push(place);
    return place;
  }

  isKnown(log: ReadLog, sequence: number): boolean {
    return this.#places.some(
      (place) => place.log === log && sequence >= place.first && sequence <= place.last,
    );
  }

  /** These were read. @returns whether that is news */
  wereRead(log: ReadLog, first: number, last: number): boolean {
    const before = this.#places.length;
    if (before === 0) return false;
    this.#places = this.#places.filter(
      (place) => place.log !== log || place.last < first || place.first > last,
    );
    return this.#places.length < before;
  }

  /** As things stand, by channel and sequence. */
  list(): readonly UnreadableMessages[] {
    if (this.#places.length === 0) return this.#places;
    this.#places = this.#places
      .filter(({ log, last }) => !log.isDeleted && last >= log.firstSequence)
      .sort((a, b) => (a.channel === b.channel ? a.first - b.first : a.channel < b.channel ? -1 : 1));
    return this.#places;
  }

  channelCount(): number {
    return new Set(this.list().map(({ channel }) => channel)).size;
  }

  messageCount(): number {
    return this.list().reduce((sum, { first, last }) => sum + last - first + 1, 0);
  }
}
