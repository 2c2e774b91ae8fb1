import type { StanError } from './client-errors.js';
import { Wakeup } from './wakeup.js';

/** What happens to a connection. */
export type Status =
  /** NATS is gone; the package connects again. */
  | { readonly type: 'disconnect'; readonly server: string }
  | { readonly type: 'reconnect'; readonly server: string }
  /** Nothing new is sent: nobody serves, or nobody answers. Publishes wait. */
  | { readonly type: 'publishingPaused'; readonly reason: string }
  /** What had no ack was sent again, and what waited is being sent. */
  | { readonly type: 'publishingResumed'; readonly sentAgain: number }
  /** The server knows this client no more. With `resume` it connects again, else this is the end. */
  | { readonly type: 'connectionLost'; readonly error: StanError }
  /** It is connected again, with its subscriptions. */
  | { readonly type: 'resumed' }
  /** A subscription could not be made again, or a callback has failed. */
  | { readonly type: 'error'; readonly error: StanError };

/** What nobody has read yet; with more the oldest goes. */
const MAX_WAITING = 256;

/** Tells everybody who listens, each at his own pace. */
export class StatusFeed {
  readonly #readers = new Set<StatusReader>();
  #isEnded = false;

  tell(status: Status): void {
    for (const reader of this.#readers) reader.push(status);
  }

  end(): void {
    this.#isEnded = true;
    for (const reader of this.#readers) reader.end();
  }

  /** Everything from now on, until the connection is closed. */
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
