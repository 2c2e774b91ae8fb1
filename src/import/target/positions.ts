// The subscriptions of a channel as a store has them: each queue group has a record of its own beside those of its members.

import type { SourceChannel, SourceSubscription } from '../types/source.js';

/** Whether it is the record of a queue group: how far its channel has been given out, and what no member waits for. */
export function isGroup({ queueGroup, clientId }: SourceSubscription): boolean {
  return queueGroup !== '' && clientId === '';
}

/**
 * The subscriptions of a channel, each queue group before its members. A source may give a group more than once, or its members only: the highest position of all of
 * them is the group's. What a member waits for is not the group's to give to another one. A group that is not durable ends with its last member.
 */
export function storedSubscriptions({ subscriptions }: SourceChannel): SourceSubscription[] {
  const groups = new Map<string, SourceSubscription>();
  const others: SourceSubscription[] = [];
  const withMembers = new Set<SourceSubscription>();
  for (const subscription of subscriptions) {
    const { queueGroup, isDurable, lastSent } = subscription;
    if (!isGroup(subscription)) others.push(subscription);
    if (queueGroup === '') continue;
    const key = `${isDurable ? 'durable' : 'plain'} ${queueGroup}`;
    let group = groups.get(key);
    if (group === undefined) {
      group = groupRecord(queueGroup, isDurable);
      groups.set(key, group);
    }
    group.lastSent = Math.max(group.lastSent, lastSent);
    if (!isGroup(subscription)) withMembers.add(group);
    else for (const sequence of subscription.pending) group.pending.push(sequence);
  }
  for (const [key, group] of groups) {
    if (!group.isDurable && !withMembers.has(group)) groups.delete(key);
    if (group.pending.length === 0) continue;
    const held = new Set<number>();
    for (const { queueGroup, isDurable, pending } of others)
      if (queueGroup === group.queueGroup && isDurable === group.isDurable)
        for (const sequence of pending) held.add(sequence);
    group.pending = ascending(group.pending.filter((sequence) => !held.has(sequence)));
  }
  return [...groups.values(), ...others];
}

/** The highest sequence that any subscription has had: no other message may get it, though the channel may have lost the one that had it. */
export function highestSent({ subscriptions }: SourceChannel): number {
  let highest = 0;
  for (const { lastSent, pending } of subscriptions)
    highest = Math.max(highest, lastSent, pending.at(-1) ?? 0);
  return highest;
}

function groupRecord(queueGroup: string, isDurable: boolean): SourceSubscription {
  return {
    ...{ clientId: '', inbox: '', ackInbox: '', queueGroup, durableName: '', isDurable, isOnline: false },
    ...{ maxInFlight: 0, ackWaitSeconds: 0, lastSent: 0, pending: [] },
  };
}

function ascending(sequences: readonly number[]): number[] {
  return [...new Set(sequences)].sort((a, b) => a - b);
}
