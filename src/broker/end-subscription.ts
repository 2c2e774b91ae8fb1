import { durableKey } from '../channel/channel.js';
import { toRanges } from '../subscription/progress.js';
import type { QueueGroup } from '../subscription/queue-group.js';
import type { Subscription } from '../subscription/subscription.js';
import type { BrokerContext } from './context.js';
import { watchInactivity } from './inactivity.js';
import { recordAllProgress, recordProgress } from './record-progress.js';

/**
 * Ends a subscription. `close` leaves a durable where it is, offline; `unsubscribe` removes it, and of a durable queue group
 * only when its last member unsubscribes.
 */
export function endSubscription(
  context: BrokerContext,
  sub: Subscription,
  how: 'close' | 'unsubscribe',
): void {
  const { channel, group } = sub;
  context.subscriptions.delete(sub.id);
  channel.byAckInbox.delete(sub.ackInbox);
  if (channel.byInbox.get(sub.inbox) === sub) channel.byInbox.delete(sub.inbox);
  context.wheel.disarm(sub);
  context.delivery.forget(sub);
  sub.client?.subscriptions.delete(sub);
  sub.isStarted = false;
  // What it acknowledged last belongs to its state as it ends.
  if (group === undefined) recordProgress(context, sub);
  else recordAllProgress(context);
  if (group !== undefined) {
    leaveGroup(context, group, sub, how);
  } else {
    sub.client = undefined;
    channel.subscriptions.splice(channel.subscriptions.indexOf(sub), 1);
    if (sub.isDurable && how === 'close') {
      context.store.putSubscription(sub.record());
    } else {
      if (sub.isDurable) channel.durables.delete(durableKey(sub.clientId, sub.durableName));
      context.store.removeSubscription(sub.id);
    }
  }
  if (!channel.hasActiveSubscriptions) watchInactivity(context, channel);
}

function leaveGroup(
  context: BrokerContext,
  group: QueueGroup,
  sub: Subscription,
  how: 'close' | 'unsubscribe',
): void {
  const { store, delivery } = context;
  group.remove(sub);
  group.showLastSent();
  sub.client = undefined;
  const isLast = group.members.length === 0;
  if (isLast && (!group.isDurable || how === 'unsubscribe')) {
    group.channel.groups.delete(group.key);
    delivery.forget(group);
    store.removeSubscription(sub.id);
    store.removeSubscription(group.id);
    group.progress.clear();
    return;
  }
  // What the member had goes to the group first, then the member: at no moment is a message nobody's.
  const pending = sub.inFlight.sorted();
  for (const sequence of pending) group.orphans.add(sequence, 0, sub.inFlight.redeliveries(sequence));
  store.putSubscription(group.record());
  if (pending.length > 0) store.recordProgress(group.id, toRanges(pending), []);
  store.removeSubscription(sub.id);
  if (!isLast) delivery.makeReady(group);
}
