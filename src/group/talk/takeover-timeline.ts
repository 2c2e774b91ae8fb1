import { type Fields, isCount, isObject, isText, isWithin } from '../../util/fields.js';

export const TAKEOVER_REASONS = ['first', 'handover', 'process_died', 'lease_expired', 'cut_off'] as const;

/**
 * Why the lease was taken: it was never held; it was given back; the process that held it is gone; it was not renewed; its holder
 * renewed it, but was heard by few members.
 */
export type TakeoverReason = (typeof TAKEOVER_REASONS)[number];

/** The durations of a takeover's parts, in milliseconds and in order: from the decision to serving. */
export interface TakeoverParts {
  /** Taking the lock of the epoch, a last look at the lease, and renaming it. */
  readonly claimMs: number;
  /** Listing the folders of the store. */
  readonly listMs: number;
  /** Reading the newest checkpoint. */
  readonly checkpointMs: number;
  /** Reading the journals behind it. */
  readonly journalMs: number;
  /** The rest of opening the store, and the broker on it. */
  readonly openMs: number;
  /** Renewing the lease before any answer. */
  readonly fenceMs: number;
  /** Connecting the broker to the link, and handling what clients had sent meanwhile. */
  readonly servingMs: number;
}

/** The content of the store at a takeover. */
export interface TakeoverFind {
  /** Bytes read from journals. */
  readonly journalBytes: number;
  /** Messages in these journals. */
  readonly journalMessages: number;
  /** Messages of all channels. */
  readonly messages: number;
  readonly channels: number;
  readonly clients: number;
  readonly subscriptions: number;
  /** Messages of the protocol that clients sent during the takeover, and that were kept for the broker. */
  readonly heard: number;
}

/** The timeline of one takeover, from the member that made it, by its own clocks. */
export interface TakeoverTimeline {
  /** The reason for people. */
  readonly reason: string;
  readonly reasonKind: TakeoverReason;
  readonly epoch: number;
  /** Node of the member that took over. */
  readonly node: string;
  /** Node of the former active; null if the member does not know it. */
  readonly from: string | null;
  /**
   * Time from the last sign of the former active that the member saw (a heartbeat, a renewal) to serving; null if it never saw one, as
   * after a start.
   */
  readonly outageMs: number | null;
  /** Time from that sign to the decision; null if there was none. */
  readonly detectionMs: number | null;
  /** Time from the decision to serving. */
  readonly tookMs: number;
  /** The part of `tookMs` for reading the store, up to the fence behind it. */
  readonly recoveryMs: number;
  readonly parts: TakeoverParts;
  readonly found: TakeoverFind;
  /** Time at which it began to serve, in milliseconds since 1970. */
  readonly atWallMs: number;
}

/** A takeover that a member made, or saw another make. */
export interface KnownTakeover {
  readonly epoch: number;
  readonly node: string;
  /** When it began to serve, milliseconds since 1970: by its own clock if it sent its timeline, else by the clock of the member that saw it. */
  readonly atWallMs: number;
  /** null if no member has sent it. */
  readonly story: TakeoverTimeline | null;
}

const MAX_TEXT_LENGTH = 1_000;
/** Durations, counts and times are far below. */
const MAX_NUMBER = Number.MAX_SAFE_INTEGER;
/** Later times are no dates. */
const MAX_DATE_MS = 8.64e15;
const TIMELINE_NUMBERS = ['tookMs', 'recoveryMs'];
const PART_NUMBERS = ['claimMs', 'listMs', 'checkpointMs', 'journalMs', 'openMs', 'fenceMs', 'servingMs'];
const FIND_NUMBERS = [
  'journalBytes',
  'journalMessages',
  'messages',
  'channels',
  'clients',
  'subscriptions',
  'heard',
];

/** Whether a value from another member is a timeline: its version may differ. */
export function isTakeoverTimeline(value: unknown): value is TakeoverTimeline {
  if (!hasNumbers(value, TIMELINE_NUMBERS)) return false;
  const { reason, reasonKind, epoch, node, from, outageMs, detectionMs, parts, found, atWallMs } = value;
  return (
    isText(reason, MAX_TEXT_LENGTH) &&
    TAKEOVER_REASONS.some((known) => known === reasonKind) &&
    isCount(epoch) &&
    isWithin(atWallMs, 0, MAX_DATE_MS) &&
    isText(node, MAX_TEXT_LENGTH) &&
    (from === null || isText(from, MAX_TEXT_LENGTH)) &&
    (outageMs === null || isNumber(outageMs)) &&
    (detectionMs === null || isNumber(detectionMs)) &&
    hasNumbers(parts, PART_NUMBERS) &&
    hasNumbers(found, FIND_NUMBERS)
  );
}

function hasNumbers(value: unknown, names: readonly string[]): value is Fields {
  return isObject(value) && names.every((name) => isNumber(value[name]));
}

function isNumber(value: unknown): value is number {
  return isWithin(value, -MAX_NUMBER, MAX_NUMBER);
}
