import type { StanError } from './client-errors.js';
import type { Status } from './connection-status.js';
import type { NatsConnection } from './nats-connection.js';
import type { OnAck } from './pending.js';
import type { PublishOptions } from './publish-options.js';
import type { SubscribeOptions } from './subscribe-options.js';
import type { Subscription } from './subscription.js';

/** A connection to a broker, or to the active of a group. */
export interface StanConnection extends AsyncDisposable {
  readonly clusterId: string;
  readonly clientId: string;
  /** The connection to NATS underneath. */
  readonly natsConnection: NatsConnection;
  /**
   * Publishes, and waits for the ack. If too many messages are without an ack, it waits first.
   *
   * @param data bytes and strings are published as they are, all other data through the codec (JSON)
   * @returns the guid of the message
   * @throws PublishError; AckTimeoutError if no ack came in time; ConnectionLostError; ClosedError; InvalidOptionError
   */
  publish(subject: string, data?: unknown, options?: PublishOptions): Promise<string>;
  /**
   * Publishes without waiting. Messages leave in the order of the calls.
   *
   * @param onAck called once, never before this returns
   * @returns the guid
   * @throws StanError if the message cannot be sent at all: a bad subject, too large, a closed connection
   */
  publishAsync(subject: string, data: unknown, onAck: OnAck): string;
  /** @throws SubscribeError if the server refuses or does not answer; InvalidOptionError */
  subscribe(subject: string, options?: SubscribeOptions): Promise<Subscription>;
  /** Resolves when every message published before the call is acked, or has failed. */
  flush(): Promise<void>;
  /**
   * Waits for acks up to the connect timeout, ends the subscriptions, keeps durables, and closes the connection. Idempotent.
   *
   * @throws StanError if the server refused or did not answer; with `allowCloseRetry` it can be called again after no answer
   */
  close(): Promise<void>;
  /** Resolves when the connection has ended, to the error that ended it if there was one. */
  closed(): Promise<StanError | undefined>;
  isClosed(): boolean;
  /** All changes of its state from now on. */
  status(): AsyncIterable<Status>;
}
