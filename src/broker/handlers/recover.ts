import type { RecoveredSubscription } from '../../store/types/store.js';
import { Channel, durableKey } from '../state/channel.js';
import { groupKey, QueueGroup } from '../state/queue-group.js';
import { Subscription } from '../state/subscription.js';
import type { BrokerContext } from './context.js';
import { deleteIfInactive, watchInactivity } from './inactivity.js';

/**
 * Builds channels, clients and subscriptions from what the store held. Clients go on as if nothing had happened: their
 * inboxes and ack inboxes are the same, and what was delivered and not acknowledged is in flight again.
 */
export function recover(context: BrokerContext): void {
  const { clients, subscriptions, logs } = context.store.recovered;
  const byChannelId = new Map<number, Channel>();
  for (const log of logs) {
    const limits = context.options.limitsFor(log.name);
    log.setLimits(limits);
    const channel = new Channel(log, limits, (inactive) => deleteIfInactive(context, inactive));
    context.channels.add(channel);
    byChannelId.set(log.id, channel);
  }
  for (const record of clients) {
    const client = context.newClientSession(record);
    context.clients.add(client);
    context.wheel.arm(client, context.options.heartbeatIntervalMs);
  }
  // Groups before their members.
  for (const recovered of subscriptions) {
    if (isGroupRecord(recovered)) recoverGroup(byChannelId, recovered);
  }
  for (const recovered of subscriptions) {
    if (!isGroupRecord(recovered)) recoverSubscription(context, byChannelId, recovered);
  }
  for (const channel of context.channels.all()) {
    for (const group of channel.groups.values()) group.showLastSent();
    if (!channel.hasActiveSubscriptions) watchInactivity(context, channel);
  }
}

function isGroupRecord({ record }: RecoveredSubscription): boolean {
  return record.queueGroup !== '' && record.clientId === '';
}

function recoverGroup(channels: Map<number, Channel>, { record, pending }: RecoveredSubscription): void {
  const channel = channels.get(record.channelId);
  if (channel === undefined) return;
  const group = new QueueGroup(record.id, record.queueGroup, record.isDurable, channel, record.lastSent);
  for (const sequence of pending) group.orphans.add(sequence, 0, 0);
  channel.groups.set(group.key, group);
}

function recoverSubscription(
  context: BrokerContext,
  channels: Map<number, Channel>,
  { record, pending }: RecoveredSubscription,
): void {
  const channel = channels.get(record.channelId);
  const group = channel?.groups.get(groupKey(record.queueGroup, record.isDurable));
  if (channel === undefined || (record.queueGroup !== '' && group === undefined)) {
    context.log.error(
      { subscription: record },
      'subscription dropped: the store has no channel or group for it',
    );
    context.store.removeSubscription(record.id);
    return;
  }
  const sub = new Subscription(record, channel, group, context.ackWait);
  const client = record.isOnline ? context.clients.get(record.clientId) : undefined;
  const nowMs = context.clock.monotonicMs();
  for (const sequence of pending) sub.inFlight.add(sequence, nowMs + sub.ackWaitMs, 0);
  if (sub.durableName !== '') channel.durables.set(durableKey(sub.clientId, sub.durableName), sub);
  if (group !== undefined) group.lastSent = Math.max(group.lastSent, record.lastSent);
  if (client === undefined) {
    if (sub.durableName !== '') context.ended.addDurable(sub);
    return;
  }
  sub.client = client;
  client.subscriptions.add(sub);
  context.subscriptions.set(sub.id, sub);
  channel.byInbox.set(sub.inbox, sub);
  channel.byAckInbox.set(sub.ackInbox, sub);
  if (group === undefined) channel.subscriptions.push(sub);
  else group.members.push(sub);
  sub.isStarted = true;
  // The acks that were under way when the last broker ended are lost. Who waits for one before it gets anything new is not
  // left waiting for its whole ack wait: its messages come again at once.
  if (sub.isStalled) sub.inFlight.expireAll(nowMs);
  if (sub.inFlight.size > 0) context.wheel.arm(sub, sub.inFlight.headDeadlineMs - nowMs);
}
