import type { ChannelLimits } from '../config/channel-limits.js';
import type { MonitoredNode } from '../monitor/monitored-node.js';
import { totalsOf } from './totals.js';

const NANOSECONDS_PER_MS = 1_000_000;

/** The store, in the fields of the Go server. */
export async function storez(node: MonitoredNode): Promise<object> {
  const totals = await totalsOf(node.broker);
  // Sorted by name, as Go writes a map.
  const perChannel = [...node.channelLimits.byPattern()].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    cluster_id: node.clusterId,
    server_id: node.serverId,
    now: new Date().toISOString(),
    type: node.storeKind.toUpperCase(),
    limits: {
      max_channels: node.maxChannels,
      ...limitsJson(node.channelLimits.global),
      ...(perChannel.length > 0 && {
        channels: Object.fromEntries(perChannel.map(([pattern, limits]) => [pattern, limitsJson(limits)])),
      }),
    },
    total_msgs: totals.messages,
    total_bytes: totals.bytes,
  };
}

/** The Go server has durations in nanoseconds. */
function limitsJson(limits: Readonly<ChannelLimits>): object {
  return {
    max_msgs: limits.maxMessages,
    max_bytes: limits.maxBytes,
    max_age: limits.maxAgeMs * NANOSECONDS_PER_MS,
    max_subscriptions: limits.maxSubscriptions,
    max_inactivity: limits.maxInactivityMs * NANOSECONDS_PER_MS,
  };
}
