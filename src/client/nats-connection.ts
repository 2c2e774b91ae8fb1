import type { NatsConnection as CoreConnection } from '@nats-io/transport-node';

/** A message of nats.js, version 2 or 3. */
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

/** A change of the state of a NATS connection. Version 3 has `server`, version 2 has `data`. */
export interface NatsStatus {
  readonly type: string;
  readonly server?: string;
  readonly data?: unknown;
}

/**
 * A connection to NATS, made by `@nats-io/transport-node` (nats.js v3) or by its predecessor, the `nats` package (v2). A program may
 * lend either one. These are the methods that both have with the same meaning.
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
