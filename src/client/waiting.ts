import type { ReceivedMessage } from './message.js';

/** The front is cut off when it has so many places that are empty. */
const MAX_EMPTY = 1_024;

/** Messages that have come and are not handed out, in the order in which they came. */
export class WaitingMessages {
  readonly #messages: (ReceivedMessage | undefined)[] = [];
  #head = 0;
  /** Of those that wait: known from the first time that somebody asks until none waits, which is hardly ever. */
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
    const message = this.#messages[this.#head]!;
    this.#messages[this.#head++] = undefined;
    this.#sequences?.delete(message.sequence);
    // Taking each from the front would move all the others.
    if (this.#head === this.#messages.length) this.clear();
    else if (this.#head > MAX_EMPTY && this.#head * 2 > this.#messages.length) {
      this.#messages.splice(0, this.#head);
      this.#head = 0;
    }
    return message;
  }

  has(sequence: number): boolean {
    if (this.length === 0) return false;
    this.#sequences ??= new Set(this.#messages.slice(this.#head).map((message) => message!.sequence));
    return this.#sequences.has(sequence);
  }

  clear(): void {
    this.#messages.length = this.#head = 0;
    this.#sequences = undefined;
  }
}
