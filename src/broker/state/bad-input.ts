import type { RateLimitedLog } from '../../log/rate-limited.js';

/**
 * What can be wrong with what comes in, in the words of the log and of the metric that counts it. A list, so that each is counted
 * from 0 on: Prometheus sees no increase in a series that begins at 1.
 */
export const BAD_INPUT_KINDS = [
  'malformed PubMsg',
  'PubMsg without guid',
  'publish by an unknown client',
  'publish refused: no channel of that name',
  'store full',
  'too much waits for the disk',
  'message too large to be delivered',
  'malformed Ack',
  'ack to a wrong ack inbox',
  'malformed ConnectRequest',
  'invalid client id',
  'malformed CloseRequest',
  'close of an unknown client',
  'malformed Ping',
  'Ping without connection id',
  'subscription refused',
  'durable is in use',
  'too many subscriptions',
  'malformed close request',
  'close refused',
  'malformed unsubscribe request',
  'unsubscribe refused',
] as const;

export type BadInputKind = (typeof BAD_INPUT_KINDS)[number];

/** Where a handler notes what came in from outside and is wrong: counted, and logged now and then. */
export type BadInput = Pick<RateLimitedLog<BadInputKind>, 'note'>;
