import type { NatsConnection as CoreConnection } from '@nats-io/transport-node';

/** A message, as both versions of nats.js give it. */
export interface NatsMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly reply?: string;
  readonly headers?: { readonly code: number };
  string(): string;
}

export interface NatsSubscription {
  unsubscribe(): void;
}

/** `server` is of version 3, `data` of version 2. */
export interface NatsStatus {
  readonly type: string;
  readonly server?: string;
  readonly data?: unknown;
}

/**
 * A connection to NATS: what `@nats-io/transport-node` (nats.js v3) makes, and also its predecessor, the `nats` package (v2). A program
 * may lend either one. These are the methods that both have with the same meaning.
 */
export interface NatsConnection
  extends Pick<
    CoreConnection,
    | 'info'
    | 'closed'
    | 'close'
    | 'drain'
    | 'flush'
    | 'isClosed'
    | 'isDraining'
    | 'getServer'
    | 'rtt'
    | 'stats'
  > {
  publish(subject: string, payload?: Uint8Array | string, options?: { reply?: string }): void;
  subscribe(
    subject: string,
    options?: { queue?: string; callback?(error: Error | null, message: NatsMessage): void },
  ): NatsSubscription;
  request(
    subject: string,
    payload?: Uint8Array | string,
    options?: { timeout: number },
  ): Promise<NatsMessage>;
  status(): AsyncIterable<NatsStatus>;
}
