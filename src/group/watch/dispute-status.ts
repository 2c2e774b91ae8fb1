import { parseHolder } from '../../lease/process-identity.js';
import type { DisputeStanding } from './dispute.js';

/** A member that is not heard, and known only by its name in the lease. */
export interface RivalStatus {
  /** Its name in the lease. */
  readonly member: string;
  readonly node: string;
  /** null if its name does not have it. */
  readonly host: string | null;
  readonly pid: number | null;
}

/** A dispute, as a member of one side sees it: two sides of the group do not hear each other, and take the lease from each other. */
export interface DisputeStatus {
  /** Time at which it began, in milliseconds since 1970, by this member's clock. */
  readonly sinceWallMs: number;
  /** Members of the other side that have taken the lease back, the last one last. */
  readonly rivals: readonly RivalStatus[];
  /** How often the other side has taken the lease back. */
  readonly rounds: number;
  /** The epoch of the last time. */
  readonly epoch: number;
  /** How long this side now waits before it replaces an active of the other side. */
  readonly waitMs: number;
}

/** What to do about a dispute. */
export const DISPUTE_REMEDY =
  "Attach all members to one NATS cluster: compare --nats-server, --ft-group, the account and the servers' routes";

/** @param nowMs monotonic milliseconds. @param nowWallMs the same moment in milliseconds since 1970 */
export function disputeStatus(standing: DisputeStanding, nowMs: number, nowWallMs: number): DisputeStatus {
  const { rivals, rounds, epoch, sinceMs, waitMs } = standing;
  return {
    sinceWallMs: Math.round(nowWallMs - (nowMs - sinceMs)),
    rivals: rivals.map(rivalOf),
    rounds,
    epoch,
    waitMs: Math.round(waitMs),
  };
}

export function rivalOf(member: string): RivalStatus {
  const parsed = parseHolder(member);
  if (parsed === undefined) return { member, node: member, host: null, pid: null };
  const { host, pid } = parsed.identity;
  return { member, node: parsed.nodeName, host, pid };
}

/** `n2 (host h2, process 17)` */
export function nameOf({ node, host, pid }: RivalStatus): string {
  return host === null ? node : `${node} (host ${host}, process ${pid})`;
}

/** The dispute in one line, for people. */
export function disputeReason({ sinceWallMs, rivals }: DisputeStatus): string {
  const since = new Date(sinceWallMs).toISOString();
  return `the lease has been in dispute since ${since} with ${rivals.map(nameOf).join(', ')}, not heard over NATS. ${DISPUTE_REMEDY}`;
}
