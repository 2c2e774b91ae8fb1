import type { Channel } from '../broker/state/channel.js';
import type { QueueGroup } from '../broker/state/queue-group.js';
import type { Subscription } from '../broker/state/subscription.js';

/** A durable or a queue group: a consumer of a channel that may fall behind. */
export interface Consumer {
  readonly kind: 'durable' | 'queue_group';
  /** The client id of a durable; '' for a queue group. */
  readonly clientId: string;
  readonly durableName: string;
  readonly queueName: string;
  /** How many members are connected; 0 or 1 for a durable. */
  readonly members: number;
  /** Messages delivered and not acknowledged. */
  readonly inFlight: number;
  /** Messages of the channel not delivered yet. */
  readonly undelivered: number;
}

export function hasConsumers({ durables, groups }: Channel): boolean {
  return durables.size > 0 || groups.size > 0;
}

export function* consumersOf(channel: Channel): Generator<Consumer> {
  for (const durable of channel.durables.values()) yield ofDurable(channel, durable);
  for (const group of channel.groups.values()) yield ofGroup(channel, group);
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

/** How many messages are still to be delivered. Those removed by limits do not count. */
function undeliveredIn({ log, visible }: Channel, lastSent: number): number {
  return Math.max(0, visible - Math.max(lastSent, log.firstSequence - 1));
}

/** Splits the name of a queue group: that of a durable group is `durable:group`. */
export function groupNames(name: string, isDurable: boolean): { durableName: string; queueName: string } {
  const colon = isDurable ? name.indexOf(':') : -1;
  return { durableName: name.slice(0, Math.max(0, colon)), queueName: name.slice(colon + 1) };
}
