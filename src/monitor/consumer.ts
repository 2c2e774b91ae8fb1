import type { Channel } from '../broker/state/channel.js';
import type { QueueGroup } from '../broker/state/queue-group.js';
import type { Subscription } from '../broker/state/subscription.js';

/** A durable or a queue group: what consumes a channel and is to be watched for falling behind. */
export interface Consumer {
  readonly kind: 'durable' | 'queue_group';
  /** Of a durable; '' for a queue group. */
  readonly clientId: string;
  readonly durableName: string;
  readonly queueName: string;
  /** Connected members; 0 or 1 for a durable. */
  readonly members: number;
  /** Delivered and not acknowledged. */
  readonly inFlight: number;
  /** Visible in the channel and not delivered yet. */
  readonly undelivered: number;
}

export function hasConsumers({ durables, groups }: Channel): boolean {
  return durables.size > 0 || groups.size > 0;
}

export function consumersOf(channel: Channel): Consumer[] {
  const consumers: Consumer[] = [];
  for (const durable of channel.durables.values()) consumers.push(ofDurable(channel, durable));
  for (const group of channel.groups.values()) consumers.push(ofGroup(channel, group));
  return consumers;
}

function ofDurable(channel: Channel, sub: Subscription): Consumer {
  return {
    kind: 'durable',
    clientId: sub.clientId,
    durableName: sub.durableName,
    queueName: '',
    members: sub.isOnline ? 1 : 0,
    inFlight: sub.inFlight.size,
    undelivered: undeliveredIn(channel, sub.lastSent),
  };
}

function ofGroup(channel: Channel, group: QueueGroup): Consumer {
  const { durableName, queueName } = groupNames(group.name, group.isDurable);
  let inFlight = group.orphans.size;
  for (const member of group.members) inFlight += member.inFlight.size;
  return {
    kind: 'queue_group',
    clientId: '',
    durableName,
    queueName,
    members: group.members.length,
    inFlight,
    undelivered: undeliveredIn(channel, group.lastSent),
  };
}

/** What limits have dropped is not waited for. */
function undeliveredIn({ log, visible }: Channel, lastSent: number): number {
  return Math.max(0, visible - Math.max(lastSent, log.firstSequence - 1));
}

/** A durable group is called `durable:group`. */
export function groupNames(name: string, isDurable: boolean): { durableName: string; queueName: string } {
  const colon = isDurable ? name.indexOf(':') : -1;
  return { durableName: name.slice(0, Math.max(0, colon)), queueName: name.slice(colon + 1) };
}
