import type { Clock } from '../../clock/clock.js';
import type { TimerWheel } from '../../clock/timer-wheel.js';
import type { Store } from '../../store/types/store.js';
import { assert } from '../../util/assert.js';
import { toRanges } from '../../util/ranges.js';
import type { Delivery } from '../delivery/delivery.js';
import { durableKey } from '../state/channel.js';
import { type EndedSubscriptions, LEAVE_GRACE_MS } from '../state/ended-subscriptions.js';
import type { ImportedAckInboxes } from '../state/imported-ack-inboxes.js';
import type { QueueGroup } from '../state/queue-group.js';
import type { Subscription } from '../state/subscription.js';
import type { Inactivity } from './inactivity.js';

/** What the end of a subscription needs. */
export interface EndSubscriptionNeeds {
  /** All that are online, by id. */
  readonly subscriptions: Map<number, Subscription>;
  readonly ended: Pick<EndedSubscriptions, 'addDurable' | 'addMember' | 'remove'>;
  readonly importedAckInboxes: Pick<ImportedAckInboxes, 'remove'>;
  readonly delivery: Pick<Delivery, 'forget' | 'makeReady'>;
  readonly inactivity: Pick<Inactivity, 'watch'>;
  readonly clock: Clock;
  readonly wheel: Pick<TimerWheel, 'disarm'>;
  readonly store: Pick<
    Store,
    'putSubscription' | 'removeSubscription' | 'recordProgress' | 'recordNotedProgress' | 'recordDelivered'
  >;
}

/** Ends subscriptions. Acks that follow still count, see `EndedSubscriptions`. */
export class SubscriptionEnder {
  readonly #needs: EndSubscriptionNeeds;

  constructor(needs: EndSubscriptionNeeds) {
    this.#needs = needs;
  }

  /**
   * `close` leaves a durable where it is, offline; `unsubscribe` removes it, and of a durable queue group only when its last
   * member unsubscribes.
   */
  end(sub: Subscription, how: 'close' | 'unsubscribe'): void {
    const { subscriptions, importedAckInboxes, wheel, delivery, store, inactivity } = this.#needs;
    const { channel, group } = sub;
    subscriptions.delete(sub.id);
    importedAckInboxes.remove(sub);
    channel.byAckInbox.delete(sub.ackInbox);
    if (channel.byInbox.get(sub.inbox) === sub) channel.byInbox.delete(sub.inbox);
    wheel.disarm(sub);
    delivery.forget(sub);
    sub.client?.subscriptions.delete(sub);
    sub.isStarted = false;
    // What it acknowledged last belongs to its state as it ends.
    if (group === undefined) {
      store.recordProgress(sub.progress);
      this.#leaveChannel(sub, how);
    } else {
      store.recordNotedProgress();
      this.#leaveGroup(group, sub, how);
    }
    if (!channel.hasActiveSubscriptions) inactivity.watch(channel);
  }

  /** A member has left its queue group, and its last acks have had their time: what is left goes to others. */
  endLeave(member: Subscription): void {
    const { ended, delivery } = this.#needs;
    ended.remove(member);
    if (member.group !== undefined) delivery.makeReady(member.group);
  }

  #leaveChannel(sub: Subscription, how: 'close' | 'unsubscribe'): void {
    const { store, ended } = this.#needs;
    const { channel } = sub;
    const at = channel.subscriptions.indexOf(sub);
    assert(at >= 0, 'a subscription that ends is in the list of its channel');
    channel.subscriptions.splice(at, 1);
    sub.client = undefined;
    if (sub.isDurable && how === 'close') {
      store.putSubscription(sub.record());
      ended.addDurable(sub);
    } else {
      if (sub.isDurable) channel.durables.delete(durableKey(sub.clientId, sub.durableName));
      store.removeSubscription(sub.id);
    }
  }

  #leaveGroup(group: QueueGroup, sub: Subscription, how: 'close' | 'unsubscribe'): void {
    const { store, delivery, clock, ended } = this.#needs;
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
    // What the member had goes to the group first, then the member goes: at no moment does a message belong to neither.
    const pending = sub.inFlight.sorted();
    const heldUntilMs = clock.monotonicMs() + LEAVE_GRACE_MS;
    for (const sequence of pending) {
      group.orphans.add(sequence, heldUntilMs, sub.inFlight.redeliveries(sequence));
      sub.inFlight.remove(sequence);
    }
    store.putSubscription(group.record());
    if (pending.length > 0) store.recordDelivered(group.id, toRanges(pending));
    store.removeSubscription(sub.id);
    ended.addMember(sub);
    // A member that joins an empty group gets what is pending before anything new.
    if (isLast) group.orphans.expireAll(0);
    else delivery.makeReady(group);
  }
}
