import { StartPosition, type SubscriptionRequest } from '../protocol/messages.js';
import { InvalidOptionError } from './client-errors.js';
import { quote } from './connect-options.js';

/**
 * Where a subscription begins: with messages published from now on, with the newest message, with the oldest stored message, with a
 * sequence, with messages stored at a time or later, or with messages stored `timeAgo` milliseconds ago or later.
 */
export type StartAt =
  | 'new'
  | 'last'
  | 'all'
  | { readonly sequence: number }
  | { readonly time: Date }
  | { readonly timeAgo: number };

type StartFields = Pick<SubscriptionRequest, 'startPosition' | 'startSequence' | 'startTimeDelta'>;

const NONE = { startSequence: 0, startTimeDelta: 0n };
const NS_PER_MS = 1_000_000;
/** The protocol has 63 bits for nanoseconds, more than the age of any message. */
const MAX_MS = Math.floor((2 ** 63 - 1) / NS_PER_MS) - 1;

/** @throws InvalidOptionError */
export function startFields(startAt: StartAt, nowMs = Date.now()): StartFields {
  switch (startAt) {
    case 'new':
      return { ...NONE, startPosition: StartPosition.NEW_ONLY };
    case 'last':
      return { ...NONE, startPosition: StartPosition.LAST_RECEIVED };
    case 'all':
      return { ...NONE, startPosition: StartPosition.FIRST };
  }
  if (typeof startAt === 'object' && startAt !== null) {
    if ('sequence' in startAt && Number.isSafeInteger(startAt.sequence) && startAt.sequence >= 0)
      return { ...NONE, startPosition: StartPosition.SEQUENCE_START, startSequence: startAt.sequence };
    // The server subtracts this from its own time.
    if ('timeAgo' in startAt && typeof startAt.timeAgo === 'number' && startAt.timeAgo >= 0)
      return timeDelta(startAt.timeAgo);
    if ('time' in startAt && startAt.time instanceof Date && !Number.isNaN(startAt.time.getTime()))
      return timeDelta(Math.max(0, nowMs - startAt.time.getTime()));
  }
  throw new InvalidOptionError(
    `startAt ${quote(startAt)} cannot be`,
    'It is "new", "last", "all", { sequence }, { time: Date } or { timeAgo: milliseconds }',
  );
}

/**
 * Where a resumed subscription begins that has received no message yet: with the first message stored since it began.
 *
 * @param elapsedMs the time since the subscription began
 */
export function laterStart(startAt: StartAt, elapsedMs: number): StartAt {
  if (startAt === 'new') return { timeAgo: elapsedMs };
  // The channel was empty when the subscription began.
  if (startAt === 'last') return 'all';
  return typeof startAt === 'object' && 'timeAgo' in startAt
    ? { timeAgo: startAt.timeAgo + elapsedMs }
    : startAt;
}

function timeDelta(milliseconds: number): StartFields {
  const startTimeDelta = BigInt(Math.round(Math.min(milliseconds, MAX_MS))) * BigInt(NS_PER_MS);
  return { ...NONE, startPosition: StartPosition.TIME_DELTA_START, startTimeDelta };
}
