import type { MonitoredNode } from '../monitor/monitored-node.js';
import { VERSION } from '../version.js';
import { openFiles } from './open-files.js';
import { totalsOf } from './totals.js';

/** The server as a whole, in the fields of the Go server. Without a broker the figures are 0, as on its standbys. */
export async function serverz(node: MonitoredNode): Promise<object> {
  const files = await openFiles();
  const { broker } = node;
  const totals = await totalsOf(broker);
  const counters = broker?.counters;
  const nowMs = Date.now();
  return {
    cluster_id: node.clusterId,
    server_id: node.serverId,
    version: VERSION,
    go: `node ${process.version}`,
    state: node.state,
    now: new Date(nowMs).toISOString(),
    start_time: new Date(node.startedAtMs).toISOString(),
    uptime: uptime(nowMs - node.startedAtMs),
    clients: broker?.clients.size ?? 0,
    subscriptions: totals.subscriptions,
    channels: broker?.channels.size ?? 0,
    total_msgs: totals.messages,
    total_bytes: totals.bytes,
    in_msgs: counters?.messagesIn ?? 0,
    in_bytes: counters?.bytesIn ?? 0,
    out_msgs: counters?.messagesOut ?? 0,
    out_bytes: counters?.bytesOut ?? 0,
    ...(node.group?.member !== undefined && {
      unproved_group_messages: node.group.member.ignored.unprovedCount,
    }),
    ...(files !== undefined && { open_fds: files.open, max_fds: files.max }),
  };
}

/** A duration like 1y2d3h4m5s, from the largest unit that is not 0. */
export function uptime(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  const years = Math.floor(days / 365);
  let text = '';
  if (years > 0) text += `${years}y`;
  if (days > 0) text += `${days % 365}d`;
  if (hours > 0) text += `${hours % 24}h`;
  if (minutes > 0) text += `${minutes % 60}m`;
  return `${text}${seconds % 60}s`;
}
