import type { StanError } from './client-errors.js';
import { Wakeup } from './wakeup.js';

/** A change of the state of a connection. */
export type Status =
  /** The connection to NATS is lost; nats.js connects again. */
  | { readonly type: 'disconnect'; readonly server: string }
  | { readonly type: 'reconnect'; readonly server: string }
  /** No broker is active, or acks do not come. New publishes wait. */
  | { readonly type: 'publishingPaused'; readonly reason: string }
  /** Messages without an ack were sent again, and waiting publishes are being sent. */
  | { readonly type: 'publishingResumed'; readonly sentAgain: number }
  /** The server no longer knows this client. With `resume` the client connects again, else the connection is over. */
  | { readonly type: 'connectionLost'; readonly error: StanError }
  /** The connection is back, with its subscriptions. */
  | { readonly type: 'resumed' }
  /** A subscription could not be made again, or a callback has failed. */
  | { readonly type: 'error'; readonly error: StanError };

/** Limit of unread entries of a reader; beyond it the oldest is dropped. */
const MAX_WAITING = 256;

/** Gives each change of state to every reader. A reader may be slow. */
export class StatusFeed {
  readonly #readers = new Set<StatusReader>();
  #isEnded = false;

  emit(status: Status): void {
    for (const reader of this.#readers) reader.push(status);
  }

  end(): void {
    this.#isEnded = true;
    for (const reader of this.#readers) reader.end();
  }

  /** All changes from now on, until the connection is closed. */
  read(): AsyncIterableIterator<Status> {
    const reader = new StatusReader(() => this.#readers.delete(reader));
    if (this.#isEnded) reader.end();
    else this.#readers.add(reader);
    return reader;
  }
}

class StatusReader implements AsyncIterableIterator<Status> {
  readonly #waiting: Status[] = [];
  readonly #onEnd: () => void;
  readonly #wakeup = new Wakeup();
  #isEnded = false;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  push(status: Status): void {
    if (this.#waiting.length === MAX_WAITING) this.#waiting.shift();
    this.#waiting.push(status);
    this.#wakeup.wake();
  }

  end(): void {
    this.#isEnded = true;
    this.#onEnd();
    this.#wakeup.wake();
  }

  async next(): Promise<IteratorResult<Status>> {
    for (;;) {
      const value = this.#waiting.shift();
      if (value !== undefined) return { done: false, value };
      if (this.#isEnded) return { done: true, value: undefined };
      await this.#wakeup.wait();
    }
  }

  return(): Promise<IteratorResult<Status>> {
    this.end();
    this.#waiting.length = 0;
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
