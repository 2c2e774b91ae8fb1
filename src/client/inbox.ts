import { createInbox } from '@nats-io/transport-node';
import { ConnectionLostError } from './client-errors.js';
import type { NatsConnection, NatsMessage, NatsSubscription } from './nats-connection.js';

/** Below the prefix that the NATS connection was given: a program may have the permission to listen there and nowhere else. */
export function newInbox(nats: NatsConnection): string {
  // The package's types do not tell what a connection was given.
  const { options } = nats as NatsConnection & { readonly options?: { readonly inboxPrefix?: string } };
  return createInbox(options?.inboxPrefix);
}

/** @throws ConnectionLostError if the NATS connection is closed, or being drained by the program that lent it */
export function listen(
  nats: NatsConnection,
  inbox: string,
  callback: (error: Error | null, message: NatsMessage) => void,
): NatsSubscription {
  try {
    return nats.subscribe(inbox, { callback });
  } catch (cause) {
    throw new ConnectionLostError(
      `the connection to NATS is not to be used any more: ${(cause as Error).message}`,
      'It is closed, or being drained: connect again',
      undefined,
      cause,
    );
  }
}
