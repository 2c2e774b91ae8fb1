import { MEMBER_ROLES } from '../group/talk/group-messages.js';
import type { GroupStatus, MonitoredNode } from '../monitor/monitored-node.js';
import { labelText, TextMetric } from './exposition.js';

/** The series of a group and of this member's part in it, as text; '' without a group. */
export function groupSeries({ clusterId, name: node, group }: MonitoredNode): string {
  if (group === undefined) return '';
  const { leaseMs, member } = group;
  const role = member?.role ?? 'starting';
  const roles = gauge('role', '1 for what the member is doing, 0 for the rest');
  for (const each of MEMBER_ROLES) roles.add(`role="${each}"`, Number(each === role));
  const info = gauge('group_info', 'Always 1');
  info.add(labelText({ cluster_id: clusterId, group: group.name, node }), 1);
  const lease = gauge('lease_seconds', 'How long an active may be silent before a standby takes over');
  lease.add('', leaseMs / 1e3);
  return roles.text() + info.text() + lease.text() + memberText(member);
}

function memberText(member: GroupStatus['member']): string {
  if (member === undefined) return '';
  const members = gauge('group_members', 'Members by role: this one, and those heard within three leases');
  for (const [role, count] of Object.entries(member.rolesHeard())) members.add(`role="${role}"`, count);
  const epoch = gauge(
    'epoch',
    'Epoch of its term, else the newest epoch that it knows; grows with each takeover',
  );
  epoch.add('', member.epoch);
  const age = gauge('lease_age_seconds', 'Seconds since the last renewal of the lease; on an active only');
  if (member.role === 'active') age.add('', (member.leaseAgeMs ?? 0) / 1e3);
  const apart = gauge(
    'clock_apart_seconds',
    'Largest difference between the clock of this member and that of another one heard within 10 s',
  );
  apart.add('', member.clocks.apartMs / 1e3);
  const takeovers = counter(
    'takeovers_total',
    'Takeovers by this member since its process started, by reason',
  );
  for (const [reason, count] of Object.entries(member.takeoversBy))
    takeovers.add(`reason="${reason}"`, count);
  const ignored = counter(
    'group_messages_ignored_total',
    'Messages on the subjects of the group that changed nothing, by kind. unproved: without a valid proof of this store',
  );
  for (const [kind, count] of Object.entries(member.ignored.counts)) ignored.add(`kind="${kind}"`, count);
  const ended = counter('reigns_ended_total', 'Terms of this member that ended, by cause');
  for (const [kind, count] of Object.entries(member.termsEnded)) ended.add(`kind="${kind}"`, count);
  return (
    members.text() +
    epoch.text() +
    age.text() +
    apart.text() +
    takeovers.text() +
    ignored.text() +
    ended.text() +
    lastTakeoverText(member)
  );
}

function lastTakeoverText({ lastTakeover }: NonNullable<GroupStatus['member']>): string {
  if (lastTakeover === undefined) return '';
  const { outageMs, detectionMs, tookMs, recoveryMs, parts, atWallMs } = lastTakeover;
  const seconds = gauge(
    'last_takeover_seconds',
    'Duration of the last takeover by this member. total: from the last sign of the former active, or else from the decision, to serving',
  );
  seconds.add('part="total"', (outageMs ?? tookMs) / 1e3);
  seconds.add('part="detection"', (detectionMs ?? 0) / 1e3);
  seconds.add('part="recovery"', recoveryMs / 1e3);
  seconds.add('part="serving"', parts.servingMs / 1e3);
  const at = gauge(
    'last_takeover_timestamp_seconds',
    'When this member began to serve, in seconds since 1970',
  );
  at.add('', atWallMs / 1e3);
  return seconds.text() + at.text();
}

function gauge(name: string, help: string): TextMetric {
  return new TextMetric(`stanchion_${name}`, help, 'gauge');
}

function counter(name: string, help: string): TextMetric {
  return new TextMetric(`stanchion_${name}`, help, 'counter');
}
