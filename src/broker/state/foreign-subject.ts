/** The longest beginning that is looked at. */
const LOOKED_AT = 12;

/**
 * Whether a subject that a client has chosen, for messages, heartbeats or answers, is no client's: NATS keeps `$` for itself, brokers
 * listen on `_STAN.`, and members of groups on `_STANCHION.`. The broker may publish there and the client perhaps not, so the client
 * would have the broker do what it may not.
 */
export function isForeignSubject(subject: string): boolean {
  return FOREIGN.test(subject);
}

/** The same of a subject in a buffer. */
export function isForeign(buffer: Buffer, start: number, end: number): boolean {
  return FOREIGN.test(buffer.toString('latin1', start, Math.min(end, start + LOOKED_AT)));
}

/** Clients get the acks of publishes below `_STAN.acks`. */
const FOREIGN = /^(\$|_STANCHION\.|_STAN\.(?!acks\.))/;
