export const TAKEOVER_REASONS = ['first', 'handover', 'process_died', 'lease_expired', 'cut_off'] as const;

/**
 * Why a term was taken: nobody ever had it; it was given back; the process that had it is gone; it was not renewed; its
 * holder renewed it and was heard by few.
 */
export type TakeoverReason = (typeof TAKEOVER_REASONS)[number];

/** What a takeover's time went into, milliseconds, one after the other: from the decision to serving. */
export interface TakeoverParts {
  /** The lock of the epoch, a last look at the lease, and its new name. */
  readonly claimMs: number;
  /** Directories of the store were listed. */
  readonly listMs: number;
  /** The newest checkpoint was read. */
  readonly checkpointMs: number;
  /** Journals behind it were read. */
  readonly journalMs: number;
  /** The rest of opening the store and the broker on it. */
  readonly openMs: number;
  /** The lease was renewed before anything was said. */
  readonly fenceMs: number;
  /** The broker went on the link, and what clients had said meanwhile was taken in. */
  readonly servingMs: number;
}

/** What a takeover found in the store. */
export interface TakeoverFind {
  /** Bytes of journals that were read. */
  readonly journalBytes: number;
  /** Messages that those hold. */
  readonly journalMessages: number;
  /** Messages of all channels. */
  readonly messages: number;
  readonly channels: number;
  readonly clients: number;
  readonly subscriptions: number;
  /** What clients said during the takeover, and was kept for the broker: messages of the protocol. */
  readonly heard: number;
}

/** One change that brought a member to be active, as that member tells it. Wall clock and monotonic times are its own. */
export interface TakeoverTimeline {
  /** For people. */
  readonly reason: string;
  readonly reasonKind: TakeoverReason;
  readonly epoch: number;
  /** Of the member that took over. */
  readonly node: string;
  /** Of the member that was active before; null if this one does not know. */
  readonly from: string | null;
  /**
   * From the last sign of the former active that this member saw (a heartbeat, a renewal) to the first moment at which clients
   * were served; null if it never saw one, as after a start.
   */
  readonly outageMs: number | null;
  /** From that sign to the decision; null if there was none. */
  readonly detectionMs: number | null;
  /** From the decision to the first moment at which clients were served. */
  readonly tookMs: number;
  /** Of that: reading the store, up to the fence behind it. */
  readonly recoveryMs: number;
  readonly parts: TakeoverParts;
  readonly found: TakeoverFind;
  /** When it began to serve, milliseconds since 1970. */
  readonly atWallMs: number;
}

/** A takeover that a member made, or saw another make. */
export interface KnownTakeover {
  readonly epoch: number;
  readonly node: string;
  /** When it began to serve, milliseconds since 1970: by its own clock if it sent its timeline, else by the clock of the member that saw it. */
  readonly atWallMs: number;
  /** null if nobody told it. */
  readonly story: TakeoverTimeline | null;
}

const TIMELINE_NUMBERS = ['epoch', 'tookMs', 'recoveryMs', 'atWallMs'];
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

/** Whether what another member sent is one: versions may differ. */
export function isTakeoverTimeline(value: unknown): value is TakeoverTimeline {
  if (!hasNumbers(value, TIMELINE_NUMBERS)) return false;
  const { reason, reasonKind, node, from, outageMs, detectionMs, parts, found } = value;
  return (
    typeof reason === 'string' &&
    TAKEOVER_REASONS.some((known) => known === reasonKind) &&
    typeof node === 'string' &&
    (from === null || typeof from === 'string') &&
    (outageMs === null || typeof outageMs === 'number') &&
    (detectionMs === null || typeof detectionMs === 'number') &&
    hasNumbers(parts, PART_NUMBERS) &&
    hasNumbers(found, FIND_NUMBERS)
  );
}

function hasNumbers(value: unknown, names: readonly string[]): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const fields = value as Record<string, unknown>;
  return names.every((name) => typeof fields[name] === 'number');
}
