import type { MemberStatus } from '../group/report/member-status.js';
import { type PeerStatus, unanswered } from '../group/report/peer-status.js';
import { disputeReason } from '../group/watch/dispute-status.js';

/** A member's row on the page. */
export interface MemberRow {
  readonly node: string;
  /** For a silent member, its last known role. */
  readonly role: string;
  readonly epoch: number;
  readonly leaseAgeMs: number | null;
  readonly leaseMs: number;
  readonly natsServer: string;
  readonly host: string;
  readonly pid: number;
  readonly store: string;
  readonly roleForMs: number;
  readonly problem: string | null;
  /** How long it has been silent; null if it is not. */
  readonly silentMs: number | null;
}

/** The rows of the members that have answered and of those that have not, sorted by node. */
export function memberRows(answers: readonly MemberStatus[]): MemberRow[] {
  const leaseMs = answers[0]?.leaseMs ?? 0;
  const rows = [
    ...answers.map(answerRow),
    ...unanswered(answers).map((peer): MemberRow => peerRow(peer, leaseMs)),
  ];
  return rows.sort((a, b) => (a.node < b.node ? -1 : 1));
}

function answerRow(status: MemberStatus): MemberRow {
  const { node, role, epoch, leaseAgeMs, leaseMs, natsServer, host, pid, roleForMs } = status;
  // A member of an older version does not report disputes.
  const problem = status.trouble ?? (status.dispute ? disputeReason(status.dispute) : null);
  return {
    ...{ node, role, epoch, leaseAgeMs, leaseMs, natsServer, host, pid, roleForMs, problem },
    store: storeText(status),
    silentMs: null,
  };
}

function peerRow(peer: PeerStatus, leaseMs: number): MemberRow {
  const { node, role, epoch, natsServer, host, pid, silentMs, isHeard } = peer;
  return {
    ...{ node, role, epoch, leaseMs, natsServer, host, pid },
    leaseAgeMs: null,
    roleForMs: peer.roleForMs + silentMs,
    problem: null,
    store: storeText(peer),
    silentMs: isHeard ? null : silentMs,
  };
}

function storeText({ store: { dir, storeId } }: Pick<MemberStatus, 'store'>): string {
  return `${dir} (${storeId.slice(0, 8)})`;
}
