import { toRanges } from '../../util/ranges.js';
import { durableKey } from '../state/channel.js';
import { LEAVE_GRACE_MS } from '../state/ended-subscriptions.js';
import type { QueueGroup } from '../state/queue-group.js';
import type { Subscription } from '../state/subscription.js';
import type { BrokerContext } from './context.js';
import { watchInactivity } from './inactivity.js';

/**
 * Ends a subscription. `close` leaves a durable where it is, offline; `unsubscribe` removes it, and of a durable queue group
 * only when its last member unsubscribes. Acks that follow still count, see `EndedSubscriptions`.
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
  if (group === undefined) context.store.recordProgress(sub.progress);
  else context.store.recordNotedProgress();
  if (group !== undefined) {
    leaveGroup(context, group, sub, how);
  } else {
    sub.client = undefined;
    channel.subscriptions.splice(channel.subscriptions.indexOf(sub), 1);
    if (sub.isDurable && how === 'close') {
      context.store.putSubscription(sub.record());
      context.ended.addDurable(sub);
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
  const heldUntilMs = context.clock.monotonicMs() + LEAVE_GRACE_MS;
  for (const sequence of pending) {
    group.orphans.add(sequence, heldUntilMs, sub.inFlight.redeliveries(sequence));
    sub.inFlight.remove(sequence);
  }
  store.putSubscription(group.record());
  if (pending.length > 0) store.recordDelivered(group.id, toRanges(pending));
  store.removeSubscription(sub.id);
  context.ended.addMember(sub);
  // Who joins an empty group gets what is pending before anything new.
  if (isLast) group.orphans.expireAll(0);
  else delivery.makeReady(group);
}

/** A member has left its queue group, and its last acks have had their time: what is left goes to others. */
export function endLeave(context: BrokerContext, member: Subscription): void {
  context.ended.remove(member);
  if (member.group !== undefined) context.delivery.makeReady(member.group);
}
