import { must } from '../util/assert.js';
import type { ReceivedMessage } from './message.js';

/** The front of the array is cut off when it has more empty slots than this. */
const MAX_EMPTY = 1_024;
const WAITS = 'from the head on, each slot has a message';

/** Received messages that the program has not handled yet, oldest first. */
export class WaitingMessages {
  readonly #messages: (ReceivedMessage | undefined)[] = [];
  #head = 0;
  /** The sequences of the waiting messages. The set is made when `has` is first called, which is rare, and dropped when no message waits. */
  #sequences: Set<number> | undefined;

  get length(): number {
    return this.#messages.length - this.#head;
  }

  push(message: ReceivedMessage): void {
    this.#messages.push(message);
    this.#sequences?.add(message.sequence);
  }

  shift(): ReceivedMessage | undefined {
    if (this.#head === this.#messages.length) return undefined;
    const message = must(this.#messages[this.#head], WAITS);
    this.#messages[this.#head++] = undefined;
    this.#sequences?.delete(message.sequence);
    // A shift would move all other messages each time.
    if (this.#head === this.#messages.length) this.clear();
    else if (this.#head > MAX_EMPTY && this.#head * 2 > this.#messages.length) {
      this.#messages.splice(0, this.#head);
      this.#head = 0;
    }
    return message;
  }

  has(sequence: number): boolean {
    if (this.length === 0) return false;
    this.#sequences ??= new Set(
      this.#messages.slice(this.#head).map((message) => must(message, WAITS).sequence),
    );
    return this.#sequences.has(sequence);
  }

  clear(): void {
    this.#messages.length = this.#head = 0;
    this.#sequences = undefined;
  }
}
