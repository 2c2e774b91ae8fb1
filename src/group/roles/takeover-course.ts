import type { TakeoverReason, TakeoverTimeline } from '../talk/takeover-timeline.js';
import type { Service } from './service.js';

/** What a member knows when it has just taken the lease. Times are in monotonic milliseconds. */
export interface Opening {
  readonly reason: string;
  readonly reasonKind: TakeoverReason;
  /** Node of the former active. */
  readonly from: string | null;
  /** Time of its last sign. */
  readonly signMs: number | undefined;
  readonly decidedMs: number;
  readonly takenMs: number;
}

/** The rest of the takeover, up to serving. Times are in monotonic milliseconds. */
export interface Course {
  readonly epoch: number;
  readonly node: string;
  /** Time to open the store, with the fence behind it. */
  readonly recoveryMs: number;
  /** The part of that for the fence. */
  readonly fenceMs: number;
  /** Time from then on to serving. */
  readonly servingMs: number;
  /** How many messages of the protocol were kept for the broker. */
  readonly heard: number;
  readonly servedMs: number;
  /** The same moment, in milliseconds since 1970. */
  readonly atWallMs: number;
}

export function timelineOf(opening: Opening, course: Course, { report, broker }: Service): TakeoverTimeline {
  const { reason, reasonKind, from, signMs, decidedMs, takenMs } = opening;
  const { epoch, node, recoveryMs, fenceMs, servingMs, heard, servedMs, atWallMs } = course;
  const { listMs, checkpointMs, journalMs, journalBytes, journalMessages } = report;
  const openMs = Math.max(0, recoveryMs - fenceMs - listMs - checkpointMs - journalMs);
  let messages = 0;
  for (const { log } of broker.channels.all()) messages += log.messageCount;
  return {
    reason,
    reasonKind,
    epoch,
    node,
    from,
    outageMs: signMs === undefined ? null : servedMs - signMs,
    detectionMs: signMs === undefined ? null : decidedMs - signMs,
    tookMs: servedMs - decidedMs,
    recoveryMs,
    parts: { claimMs: takenMs - decidedMs, listMs, checkpointMs, journalMs, openMs, fenceMs, servingMs },
    found: {
      journalBytes,
      journalMessages,
      messages,
      channels: broker.channels.size,
      clients: broker.clients.size,
      subscriptions: broker.subscriptions.size,
      heard,
    },
    atWallMs,
  };
}
