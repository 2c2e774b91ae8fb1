import { DamageError } from '../../files/store-error.js';
import { readMsgProtoTimestampNs } from '../../protocol/msgproto.js';
import type { MessageRef } from '../types/store.js';

/** A log that is searched for a time. */
export interface TimedLog {
  readonly firstSequence: number;
  readonly lastSequence: number;
  find(sequence: number, ref: MessageRef): boolean;
  load(sequence: number): Promise<void>;
  /** This one, or if it is lost, the one before the gap. */
  messageUpTo(sequence: number): number;
  /** The store's own time, ms since 1970, of the message that `messageUpTo` finds; undefined if a limit has dropped it. */
  timestampMs(sequence: number): Promise<number | undefined>;
}

const SCRATCH: MessageRef = { buffer: Buffer.alloc(0), start: 0, end: 0 };

/**
 * The first sequence that was stored at `timestampNs` or later, by the store's own time. First by milliseconds, which the rows of
 * segments have; what is left is within one, and the times in the messages themselves settle it.
 */
export async function firstAt(log: TimedLog, timestampNs: bigint): Promise<number> {
  const ms = Number(timestampNs / 1_000_000n);
  const low = await firstAtMs(log, ms, log.firstSequence, log.lastSequence + 1);
  const high = await firstAtMs(log, ms + 1, low, log.lastSequence + 1);
  return await firstAtNs(log, timestampNs, low, high);
}

async function firstAtMs(log: TimedLog, ms: number, from: number, to: number): Promise<number> {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const timestampMs = await log.timestampMs(middle);
    if (timestampMs === undefined || timestampMs < ms) low = middle + 1;
    else high = middle;
  }
  return low;
}

async function firstAtNs(log: TimedLog, timestampNs: bigint, from: number, to: number): Promise<number> {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const sequence = log.messageUpTo(middle);
    if (!log.find(sequence, SCRATCH) && !(await isReadable(log, sequence))) high = middle;
    else if (!log.find(sequence, SCRATCH) || isBefore(SCRATCH, timestampNs)) low = middle + 1;
    else high = middle;
  }
  return Math.max(low, log.firstSequence);
}

/** One that cannot be read is taken for one that was wanted: a message too many rather than one too few. */
async function isReadable(log: TimedLog, sequence: number): Promise<boolean> {
  try {
    await log.load(sequence);
    return true;
  } catch (error) {
    if (error instanceof DamageError) return false;
    throw error;
  }
}

/**
 * Whether a message, which is stored under the same millisecond, comes before that time. The time that it bears has the digits below the
 * millisecond. Where that is another time, a message too many is found rather than one too few.
 */
function isBefore({ buffer, start, end }: MessageRef, timestampNs: bigint): boolean {
  const stampNs = readMsgProtoTimestampNs(buffer, start, end);
  return stampNs < timestampNs && stampNs / 1_000_000n === timestampNs / 1_000_000n;
}
