import type { LogLimits } from '../../store/types/store.js';
import type { HiddenMessages } from '../types/source.js';
import type { ChannelRow, MessageBounds, SqlTables } from './sql-tables.js';

/** Rows that are looked at in one query. */
const PAGE_ROWS = 10_000;

/** The oldest message that comes along, and how many before it do not. */
export interface MessageFloor {
  /** Behind the newest message if all are hidden. */
  first: number;
  hidden: HiddenMessages;
}

/**
 * The oldest message that the old server would still have if it were started with these limits. It removes what exceeds its limits while it
 * runs: only what has become too old since then, and limits that are lower than those of the tables, hide anything.
 *
 * @param bounds of the messages in the table: there is one at least
 */
export async function messageFloor(
  tables: SqlTables,
  channel: ChannelRow,
  bounds: MessageBounds,
  limits: LogLimits,
  nowNs: bigint,
): Promise<MessageFloor> {
  const hidden = { byMaxMessages: 0, byMaxBytes: 0, byMaxAge: 0 };
  let { first } = bounds;
  if (limits.maxAgeMs > 0) {
    const expired = await tables.newestUntil(channel.id, nowNs - BigInt(limits.maxAgeMs) * 1_000_000n);
    if (expired >= first) {
      hidden.byMaxAge = await tables.countBefore(channel.id, expired + 1);
      first = expired + 1;
    }
  }
  const count = bounds.count - hidden.byMaxAge;
  if (count <= 1) return { first, hidden };
  const { maxMessages, maxBytes } = limits;
  if (isLower(maxMessages, channel.maxMessages) && count > maxMessages) {
    first = await newestWithin(tables, channel.id, bounds.last, ({ messages }) => messages <= maxMessages);
    hidden.byMaxMessages = count - maxMessages;
  }
  if (isLower(maxBytes, channel.maxBytes)) {
    const floor = await newestWithin(tables, channel.id, bounds.last, ({ bytes }) => bytes <= maxBytes);
    if (floor > first) {
      const before = await tables.countBefore(channel.id, floor);
      hidden.byMaxBytes = before - hidden.byMaxAge - hidden.byMaxMessages;
      first = floor;
    }
  }
  return { first, hidden };
}

function isLower(limit: number, stored: number): boolean {
  return limit > 0 && (stored === 0 || limit < stored);
}

/** The sequence from which the newest messages are within a limit. The newest one always is. */
async function newestWithin(
  tables: SqlTables,
  channelId: number,
  last: number,
  isWithin: (sum: { messages: number; bytes: number }) => boolean,
): Promise<number> {
  const sum = { messages: 0, bytes: 0 };
  let floor = last + 1;
  for (;;) {
    const rows = await tables.before(channelId, floor, PAGE_ROWS);
    for (const row of rows) {
      sum.messages++;
      sum.bytes += row.bytes;
      if (sum.messages > 1 && !isWithin(sum)) return floor;
      floor = row.sequence;
    }
    if (rows.length < PAGE_ROWS) return floor;
  }
}
