import type { SourceSubscription } from '../types/source.js';
import type { MonitoredChannel } from './monitor.js';

/** A durable, or a durable queue group, as the monitoring shows it at one moment. */
export interface Durable {
  readonly channel: string;
  /** '' for a queue group. */
  readonly clientId: string;
  /** '' for a queue group. */
  readonly name: string;
  /** `durable:group`; '' for a durable of one client. */
  readonly queueGroup: string;
  readonly isOnline: boolean;
  readonly maxInFlight: number;
  readonly ackWaitSeconds: number;
  lastSent: number;
  /** How many messages are delivered and not acknowledged. */
  pending: number;
}

/** The durables of a channel; the members of a queue group are one. What is not durable ends with its client. */
export function durablesOf({ name: channel, subscriptions }: MonitoredChannel): Durable[] {
  const found = new Map<string, Durable>();
  for (const each of subscriptions) {
    const queueGroup = each.queue_name;
    // The Go server once left the flag out for durables of one client.
    if (!each.is_durable && each.durable_name === '') continue;
    const clientId = queueGroup === '' ? each.client_id : '';
    const durable: Durable = {
      ...{ channel, clientId, queueGroup, name: queueGroup === '' ? each.durable_name : '' },
      ...{ isOnline: !each.is_offline, lastSent: each.last_sent, pending: each.pending_count },
      ...{ maxInFlight: each.max_inflight, ackWaitSeconds: each.ack_wait },
    };
    const key = keyOf(durable);
    const other = found.get(key);
    if (other === undefined) found.set(key, durable);
    else {
      found.set(key, {
        ...durable,
        isOnline: durable.isOnline || other.isOnline,
        lastSent: Math.max(durable.lastSent, other.lastSent),
        pending: durable.pending + other.pending,
      });
    }
  }
  return [...found.values()];
}

export function keyOf({ channel, clientId, name, queueGroup }: Durable): string {
  return JSON.stringify([channel, clientId, name, queueGroup]);
}

/** As people call it. */
export function nameOf({ channel, clientId, name, queueGroup }: Durable): string {
  const who =
    queueGroup === '' ? `durable ${name} of client ${clientId}` : `durable queue group ${queueGroup}`;
  return `${who} on ${channel}`;
}

/** Where a durable is. */
export interface Position {
  /** Everything up to it has been delivered. */
  lastSent: number;
  /** Those of them that are not acknowledged, ascending. */
  pending: number[];
}

/** The durable as it waits for its client, in a channel whose messages came along up to `lastSequence`. */
export function offline(
  { clientId, name, queueGroup, maxInFlight, ackWaitSeconds }: Durable,
  { lastSent, pending }: Position,
  lastSequence: number,
): SourceSubscription {
  return {
    ...{ clientId, inbox: '', ackInbox: '', queueGroup, durableName: name },
    ...{ isDurable: true, isOnline: false, maxInFlight, ackWaitSeconds },
    // New messages get the sequences behind the last one that came along.
    lastSent: Math.min(lastSent, lastSequence),
    pending: pending.filter((sequence) => sequence <= lastSequence),
  };
}
