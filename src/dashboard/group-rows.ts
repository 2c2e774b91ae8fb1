import type { MemberStatus } from '../group/report/member-status.js';
import type { KnownTakeover } from '../group/talk/takeover-timeline.js';
import type { MonitoredNode } from '../monitor/monitored-node.js';
import { type MemberRow, memberRows } from './member-rows.js';

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

/** The group as this node sees it. */
export interface GroupView {
  readonly node: string;
  readonly clusterId: string;
  /** null for a lone broker. */
  readonly group: string | null;
  readonly role: string;
  readonly health: { readonly isReady: boolean; readonly reasons: readonly string[] };
  readonly members: readonly MemberRow[];
  /** Newest first. */
  readonly takeovers: readonly TakeoverRow[];
}

/** @param answers the status of each member that has answered; undefined for a lone broker */
export function groupView(node: MonitoredNode, answers: readonly MemberStatus[] | undefined): GroupView {
  const { isHealthy, isReady, reasons } = node.health;
  const view = { node: node.name, clusterId: node.clusterId, health: { isReady, reasons } };
  if (node.group === undefined || answers === undefined)
    return { ...view, group: null, role: 'alone', members: [aloneRow(node)], takeovers: [] };
  const { name, member, ownStatus } = node.group;
  // This node also answers over NATS, which may be down. Its own status needs no NATS.
  const own = ownStatus?.();
  const problem = own?.trouble ?? (isHealthy ? null : (reasons[0] ?? null));
  const members =
    own === undefined
      ? answers
      : [{ ...own, trouble: problem }, ...answers.filter((each) => each.member !== own.member)];
  // Each member may have missed some takeovers, so their histories are merged.
  const known = new Map<number, KnownTakeover>();
  for (const takeover of [
    ...members.flatMap(({ takeoverHistory = [] }) => takeoverHistory),
    ...(member?.history.all ?? []),
  ]) {
    if (known.get(takeover.epoch)?.story == null) known.set(takeover.epoch, takeover);
  }
  const takeovers = [...known.values()].sort((a, b) => b.epoch - a.epoch).map(takeoverRow);
  return { ...view, group: name, role: member?.role ?? 'starting', members: memberRows(members), takeovers };
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
    problem: node.health.isHealthy ? null : (node.health.reasons[0] ?? null),
    silentMs: null,
  };
}

function takeoverRow({ epoch, node, atWallMs, story: timeline }: KnownTakeover): TakeoverRow {
  return {
    epoch,
    node,
    from: timeline?.from ?? null,
    atMs: atWallMs,
    reason: timeline?.reason ?? null,
    kind: timeline?.reasonKind ?? null,
    outageMs: timeline?.outageMs ?? null,
    recoveryMs: timeline?.recoveryMs ?? null,
  };
}
