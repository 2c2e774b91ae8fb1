import { disputeReason } from '../group/dispute-status.js';
import type { MemberStatus } from '../group/status.js';
import type { KnownTakeover } from '../group/story.js';
import type { MonitoredNode } from '../http/node.js';

/** One member as the page shows it. */
export interface MemberRow {
  readonly node: string;
  readonly role: string;
  readonly epoch: number;
  readonly leaseAgeMs: number | null;
  readonly leaseMs: number;
  readonly natsServer: string;
  readonly host: string;
  readonly pid: number;
  readonly store: string;
  readonly roleForMs: number;
  readonly trouble: string | null;
}

export interface TakeoverRow {
  readonly epoch: number;
  readonly node: string;
  readonly from: string | null;
  readonly atMs: number;
  readonly reason: string | null;
  readonly kind: string | null;
  readonly outageMs: number | null;
  readonly recoveryMs: number | null;
}

/** The group at a glance, as this node sees it. */
export interface GroupView {
  readonly node: string;
  readonly clusterId: string;
  /** null: a broker alone. */
  readonly group: string | null;
  readonly role: string;
  readonly health: { readonly isReady: boolean; readonly reasons: readonly string[] };
  readonly members: readonly MemberRow[];
  /** Newest first. */
  readonly takeovers: readonly TakeoverRow[];
}

/** @param members as they have answered; undefined for a broker alone */
export function groupView(node: MonitoredNode, members: readonly MemberStatus[] | undefined): GroupView {
  const { isReady, reasons } = node.health;
  const view = { node: node.name, clusterId: node.clusterId, health: { isReady, reasons } };
  if (node.group === undefined || members === undefined)
    return { ...view, group: null, role: 'alone', members: [aloneRow(node)], takeovers: [] };
  const { name, member } = node.group;
  const rows = members.map(rowOf).sort((a, b) => (a.node < b.node ? -1 : 1));
  // Of what the members know each may have missed something.
  const known = new Map<number, KnownTakeover>();
  for (const takeover of [
    ...members.flatMap(({ takeoverHistory = [] }) => takeoverHistory),
    ...(member?.history.all ?? []),
  ]) {
    if (known.get(takeover.epoch)?.story == null) known.set(takeover.epoch, takeover);
  }
  const takeovers = [...known.values()].sort((a, b) => b.epoch - a.epoch).map(takeoverRow);
  return { ...view, group: name, role: member?.role ?? 'starting', members: rows, takeovers };
}

function rowOf(status: MemberStatus): MemberRow {
  const { node, role, epoch, leaseAgeMs, leaseMs, natsServer, host, pid, roleForMs } = status;
  // A member of another version may know of none.
  const trouble = status.trouble ?? (status.dispute ? disputeReason(status.dispute) : null);
  return {
    ...{ node, role, epoch, leaseAgeMs, leaseMs, natsServer, host, pid, roleForMs, trouble },
    store: `${status.store.dir} (${status.store.storeId.slice(0, 8)})`,
  };
}

function aloneRow(node: MonitoredNode): MemberRow {
  return {
    node: node.name,
    role: 'alone',
    epoch: 0,
    leaseAgeMs: null,
    leaseMs: 0,
    natsServer: node.nats.server,
    host: '',
    pid: process.pid,
    store: node.storeDir ?? 'memory',
    roleForMs: Date.now() - node.startedAtMs,
    trouble: node.health.isHealthy ? null : (node.health.reasons[0] ?? null),
  };
}

function takeoverRow({ epoch, node, atWallMs, story }: KnownTakeover): TakeoverRow {
  return {
    epoch,
    node,
    from: story?.from ?? null,
    atMs: atWallMs,
    reason: story?.reason ?? null,
    kind: story?.reasonKind ?? null,
    outageMs: story?.outageMs ?? null,
    recoveryMs: story?.recoveryMs ?? null,
  };
}
