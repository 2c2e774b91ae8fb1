import { parseHolder } from '../../lease/process-identity.js';
import type { DisputeStanding } from './dispute.js';

/** A member that is not heard: all that is known of it is what it calls itself in the store. */
export interface RivalStatus {
  /** As the lease names it. */
  readonly member: string;
  readonly node: string;
  /** null if its name does not tell. */
  readonly host: string | null;
  readonly pid: number | null;
}

/** Two sides of the group, which do not hear each other, take the lease from each other, as a member of one side sees it. */
export interface DisputeStatus {
  /** When it began, milliseconds since 1970, by this member's clock. */
  readonly sinceWallMs: number;
  /** Members of the other side that have taken the lease back, the last one last. */
  readonly rivals: readonly RivalStatus[];
  /** So often. */
  readonly rounds: number;
  /** The last time, in this epoch. */
  readonly epoch: number;
  /** How long this side lets an active of the other one be, from now on. */
  readonly waitMs: number;
}

/** What to do about it. */
export const DISPUTE_REMEDY =
  "Attach all members to one NATS cluster: compare --nats-server, --ft-group, the account and the servers' routes";

/** @param nowMs and the same moment by the wall clock, milliseconds since 1970 */
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

/** In one line, for people. */
export function disputeReason({ sinceWallMs, rivals }: DisputeStatus): string {
  const since = new Date(sinceWallMs).toISOString();
  return `the lease has been in dispute since ${since} with ${rivals.map(nameOf).join(', ')}, not heard over NATS. ${DISPUTE_REMEDY}`;
}
