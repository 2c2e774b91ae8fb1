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
const MAX_PLACES = 4_096;

/**
 * The messages that cannot be read, as far as reading them was tried or their segment is known to be missing. Health, metrics and pages
 * report them: a subscriber stands still there. What is read after all, or dropped by a limit, or gone with its channel, is taken out.
 */
export class Unreadable {
  readonly #kept = new Map<object, Kept>();
  #count = 0;

  /** @returns the messages, the first time that any of them could not be read; undefined if that is known or cannot be kept */
  note(
    log: ReadLog,
    first: number,
    last: number,
    path: string,
    error: Error,
  ): UnreadableMessages | undefined {
    if (this.isKnown(log, first)) return undefined;
    if (this.#count >= MAX_PLACES) this.#forgetPast();
    if (this.#count >= MAX_PLACES) return undefined;
    const isDamage = error instanceof DamageError;
    const place: UnreadableMessages = {
      channel: log.name,
      first,
      last,
      why: isDamage ? `${error.path}, byte ${error.offset}: ${error.what}` : `${path}: ${error.message}`,
      path: isDamage ? error.path : path,
      offset: isDamage ? error.offset : undefined,
    };
    const kept = this.#kept.get(log);
    if (kept === undefined) this.#kept.set(log, { log, places: [place] });
    else kept.places.push(place);
    this.#count++;
    return place;
  }

  isKnown(log: ReadLog, sequence: number): boolean {
    const kept = this.#kept.get(log);
    return kept?.places.some(({ first, last }) => sequence >= first && sequence <= last) ?? false;
  }

  /** These were read. @returns whether that is news */
  wereRead(log: ReadLog, first: number, last: number): boolean {
    const kept = this.#kept.get(log);
    return kept !== undefined && this.#keep(kept, (place) => place.last < first || place.first > last);
  }

  /** Those of one log as things stand, by sequence. */
  of(log: object): readonly UnreadableMessages[] {
    const kept = this.#kept.get(log);
    if (kept === undefined) return NONE;
    const { isDeleted, firstSequence } = kept.log;
    this.#keep(kept, ({ last }) => !isDeleted && last >= firstSequence);
    return kept.places.sort((a, b) => a.first - b.first);
  }

  /** As things stand, by channel and sequence. */
  list(): readonly UnreadableMessages[] {
    const logs = Array.from(this.#kept.values(), ({ log }) => log);
    logs.sort((a, b) => (a.name < b.name ? -1 : 1));
    return logs.flatMap((log) => this.of(log));
  }

  channelCount(): number {
    this.#forgetPast();
    return this.#kept.size;
  }

  messageCount(): number {
    return this.list().reduce((sum, { first, last }) => sum + last - first + 1, 0);
  }

  /** @returns whether any had to go */
  #keep(kept: Kept, isKept: (place: UnreadableMessages) => boolean): boolean {
    const before = kept.places.length;
    kept.places = kept.places.filter(isKept);
    const gone = before - kept.places.length;
    this.#count -= gone;
    if (kept.places.length === 0) this.#kept.delete(kept.log);
    return gone > 0;
  }

  #forgetPast(): void {
    for (const { log } of this.#kept.values()) this.of(log);
  }
}

interface Kept {
  readonly log: ReadLog;
  places: UnreadableMessages[];
}

const NONE: readonly UnreadableMessages[] = [];
