import type { StanError } from './client-errors.js';
import type { Message } from './message.js';

/** A subscription. A program reads it by `for await`, unless it has a callback. */
export interface Subscription extends AsyncIterable<Message>, AsyncDisposable {
  readonly subject: string;
  /** '' without a queue group. */
  readonly queue: string;
  /** '' without a durable. */
  readonly durable: string;
  /** Resolves when the subscription has ended, to the error that ended it if there was one. */
  readonly closed: Promise<StanError | undefined>;
  isClosed(): boolean;
  /** How many received messages wait to be handled. */
  getPending(): number;
  /** How many messages the program has received. */
  getDelivered(): number;
  /** Ends the subscription; a durable keeps its position. @throws SubscribeError if the server refuses; after no answer, call it again */
  close(): Promise<void>;
  /** Ends the subscription, and removes a durable. @throws SubscribeError if the server refuses; after no answer, call it again */
  unsubscribe(): Promise<void>;
}
