import type { NatsConnection } from './nats-connection.js';

/**
 * Publishes a message in NATS that may be lost. A closed connection, or one that its program drains, drops the message instead of
 * throwing: `nats.closed()` reports the end of the connection, and a timer has no caller to throw to.
 */
export function publishIfOpen(
  nats: NatsConnection,
  subject: string,
  payload: Uint8Array,
  options?: { reply: string },
): void {
  try {
    nats.publish(subject, payload, options);
  } catch {
    // `nats.closed()` reports it.
  }
}
