import type { Logger } from '../../log/logger.js';
import type { KnownTakeover, TakeoverTimeline } from '../talk/takeover-timeline.js';
import type { DisputeNews } from '../watch/dispute.js';
import { DISPUTE_REMEDY, nameOf, rivalOf } from '../watch/dispute-status.js';

/** Logs the decision to take over, before anything is done. @param silentMs time since the last sign of `from` */
export function logDecision(
  log: Logger,
  {
    epoch,
    from,
    reason,
    silentMs,
  }: { epoch: number; from: string | null; reason: string; silentMs: number | undefined },
): void {
  const since = silentMs === undefined ? {} : { lastSignMs: Math.round(silentMs) };
  const former = from === null ? '' : ` from ${from}`;
  log.warn({ epoch, from, reason, ...since }, `taking over in epoch ${epoch}${former}: ${reason}`);
}

/** Logs a takeover of this member, one fact per line: what it found, how long each part took, how long clients waited. @param nats its NATS server */
export function logTakeover(log: Logger, timeline: TakeoverTimeline, nats: string): void {
  const { epoch, node, from, reason, outageMs, detectionMs, tookMs, recoveryMs, parts, found } = timeline;
  const { journalMessages, journalBytes, messages, channels, clients, subscriptions, heard } = found;
  log.info(
    { epoch, journalMessages, journalBytes, messages, channels, clients, subscriptions },
    `recovered ${messages} messages in ${channels} ${channels === 1 ? 'channel' : 'channels'}, ${journalMessages} of them from ${journalBytes} bytes of journals`,
  );
  if (heard > 0) log.info({ epoch, count: heard }, 'what clients said during the takeover is taken in');
  const rounded = Object.fromEntries(Object.entries(parts).map(([part, ms]) => [part, tenths(ms)]));
  log.info(
    { epoch, tookMs: tenths(tookMs), recoveryMs: tenths(recoveryMs), ...rounded },
    `the takeover took ${Math.round(tookMs)} ms, of which recovery ${Math.round(recoveryMs)} ms`,
  );
  if (outageMs !== null && detectionMs !== null) {
    log.warn(
      { epoch, node, from, reason, outageMs: Math.round(outageMs), detectionMs: Math.round(detectionMs) },
      `clients were without an active for ${Math.round(outageMs)} ms: ${Math.round(detectionMs)} ms until it was noticed, ${Math.round(tookMs)} ms for the takeover`,
    );
  }
  log.info(
    {
      epoch,
      reason,
      tookMs: Math.round(tookMs),
      recoveryMs: Math.round(recoveryMs),
      channels,
      clients,
      nats,
    },
    'Streaming Server is ready',
  );
}

/** Logs that another member serves now. */
export function logOtherTakeover(
  log: Logger,
  { epoch, node, atWallMs, story: timeline }: KnownTakeover,
): void {
  const at = new Date(atWallMs).toISOString();
  if (timeline === null) {
    log.info({ epoch, active: node, at }, `${node} serves in epoch ${epoch}`);
    return;
  }
  const { from, reason, outageMs, tookMs } = timeline;
  const outage = outageMs === null ? {} : { outageMs: Math.round(outageMs) };
  log.info(
    { epoch, active: node, at, from, reason, ...outage, tookMs: Math.round(tookMs) },
    `${node} has taken over in epoch ${epoch}${from === null ? '' : ` from ${from}`}: ${reason}`,
  );
}

/** Logs that two sides of the group take the lease from each other. @param nats the NATS server of this member */
export function logDispute(
  log: Logger,
  { group, nats, rounds, rival, epoch, waitMs }: DisputeNews & { group: string; nats: string },
): void {
  const other = rivalOf(rival);
  const { node } = other;
  const host = other.host ?? undefined;
  const pid = other.pid ?? undefined;
  const seconds = Math.round(waitMs / 1000);
  log.error(
    { epoch, active: node, host, pid, nats, count: rounds, waitMs },
    `members of group "${group}" share this store and do not hear each other over NATS: for the ${ordinal(rounds)} time the lease has gone back ` +
      `to one that this member does not hear, ${nameOf(other)} in epoch ${epoch}. This member is at NATS server ${nats}; where ${node} is, its own log says. ` +
      `${DISPUTE_REMEDY}. ` +
      `Nothing acknowledged is lost; clients of the two sides are served by turns, the next in ${seconds} s, then later each time, up to some minutes`,
  );
}

function ordinal(count: number): string {
  const ending = { 1: 'st', 2: 'nd', 3: 'rd' }[count % 10];
  return `${count}${ending === undefined || (count % 100 > 10 && count % 100 < 14) ? 'th' : ending}`;
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}
