import { createInbox } from '@nats-io/transport-node';
import { ConnectionLostError } from './client-errors.js';
import type { NatsConnection, NatsMessage, NatsSubscription } from './nats-connection.js';

/** A new inbox below the inbox prefix of the NATS connection: a program may have permission for no other. */
export function newInbox(nats: NatsConnection): string {
  // The types of nats.js do not have the options of a connection.
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
      `the connection to NATS cannot be used any more: ${(cause as Error).message}`,
      'It is closed, or being drained: connect again',
      undefined,
      cause,
    );
  }
}
