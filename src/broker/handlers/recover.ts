import type { Clock } from '../../clock/clock.js';
import type { TimerWheel } from '../../clock/timer-wheel.js';
import type { Logger } from '../../log/logger.js';
import type { RecoveredSubscription, Store } from '../../store/types/store.js';
import type { AckInboxes } from '../state/ack-inboxes.js';
import { Channel, durableKey } from '../state/channel.js';
import type { Channels } from '../state/channels.js';
import type { Clients } from '../state/clients.js';
import type { EndedSubscriptions } from '../state/ended-subscriptions.js';
import type { ImportedAckInboxes } from '../state/imported-ack-inboxes.js';
import { groupKey, QueueGroup } from '../state/queue-group.js';
import { type AckWaitHandler, Subscription } from '../state/subscription.js';
import type { BrokerOptions } from './broker-options.js';
import type { Heartbeats } from './heartbeats.js';
import type { Inactivity } from './inactivity.js';
import { isInboxValid } from './names.js';

/** What the recovery of a broker needs. */
export interface RecoverNeeds {
  readonly options: Pick<BrokerOptions, 'limitsFor'>;
  readonly channels: Pick<Channels, 'add' | 'all'>;
  readonly clients: Pick<Clients, 'add' | 'get'>;
  /** All that are online, by id. */
  readonly subscriptions: Map<number, Subscription>;
  readonly ended: Pick<EndedSubscriptions, 'addDurable'>;
  readonly ackInboxes: Pick<AckInboxes, 'isOwn'>;
  readonly importedAckInboxes: Pick<ImportedAckInboxes, 'add'>;
  readonly heartbeats: Pick<Heartbeats, 'resume'>;
  readonly inactivity: Pick<Inactivity, 'watch'>;
  readonly ackWait: AckWaitHandler;
  readonly clock: Clock;
  readonly wheel: Pick<TimerWheel, 'arm'>;
  readonly store: Pick<Store, 'recovered' | 'removeSubscription'>;
  readonly log: Logger;
}

/**
 * Builds channels, clients and subscriptions from what the store held. Clients go on as if nothing had happened: their
 * inboxes and ack inboxes are the same, and what was delivered and not acknowledged is in flight again.
 */
export function recover(needs: RecoverNeeds): void {
  const { clients, subscriptions, logs } = needs.store.recovered;
  const byChannelId = new Map<number, Channel>();
  for (const log of logs) {
    const limits = needs.options.limitsFor(log.name);
    log.setLimits(limits);
    const channel = new Channel(log, limits);
    needs.channels.add(channel);
    byChannelId.set(log.id, channel);
  }
  for (const client of needs.heartbeats.resume(clients)) needs.clients.add(client);
  // Groups before their members.
  for (const recovered of subscriptions) {
    if (isGroupRecord(recovered)) recoverGroup(byChannelId, recovered);
  }
  for (const recovered of subscriptions) {
    if (!isGroupRecord(recovered)) recoverSubscription(needs, byChannelId, recovered);
  }
  for (const channel of needs.channels.all()) {
    for (const group of channel.groups.values()) group.showLastSent();
    if (!channel.hasActiveSubscriptions) needs.inactivity.watch(channel);
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
  needs: RecoverNeeds,
  channels: Map<number, Channel>,
  { record, pending }: RecoveredSubscription,
): void {
  const channel = channels.get(record.channelId);
  const group = channel?.groups.get(groupKey(record.queueGroup, record.isDurable));
  if (channel === undefined || (record.queueGroup !== '' && group === undefined)) {
    needs.log.error(
      { subscription: record },
      'subscription dropped: the store has no channel or group for it',
    );
    needs.store.removeSubscription(record.id);
    return;
  }
  const sub = new Subscription(record, channel, group, needs.ackWait);
  const client = record.isOnline ? needs.clients.get(record.clientId) : undefined;
  const nowMs = needs.clock.monotonicMs();
  for (const sequence of pending) sub.inFlight.add(sequence, nowMs + sub.ackWaitMs, 0);
  if (sub.durableName !== '') channel.durables.set(durableKey(sub.clientId, sub.durableName), sub);
  if (group !== undefined) group.lastSent = Math.max(group.lastSent, record.lastSent);
  if (client === undefined) {
    if (sub.durableName !== '') needs.ended.addDurable(sub);
    return;
  }
  sub.client = client;
  client.subscriptions.add(sub);
  needs.subscriptions.set(sub.id, sub);
  if (!needs.ackInboxes.isOwn(sub.ackInbox) && isInboxValid(sub.ackInbox)) needs.importedAckInboxes.add(sub);
  channel.listLater(sub);
  if (group === undefined) channel.subscriptions.push(sub);
  else group.members.push(sub);
  sub.isStarted = true;
  // The acks that were under way when the last broker ended are lost. A subscription that waits for one before it gets anything
  // new does not wait for its whole ack wait: its messages come again at once.
  if (sub.isStalled) sub.inFlight.expireAll(nowMs);
  if (sub.inFlight.size > 0) needs.wheel.arm(sub, sub.inFlight.headDeadlineMs - nowMs);
}
