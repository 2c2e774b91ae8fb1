import type { NatsConnection } from './nats-connection.js';

/**
 * Publishes in NATS what may be missed. A connection that is closed, or being drained by the program that lent it, throws; what
 * becomes of the connection is told by `nats.closed()`, and a timer has nobody to throw to.
 */
export function say(
  nats: NatsConnection,
  subject: string,
  payload: Uint8Array,
  options?: { reply: string },
): void {
  try {
    nats.publish(subject, payload, options);
  } catch {
    // Told by `nats.closed()`.
  }
}
