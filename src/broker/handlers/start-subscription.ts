import type { SubscriptionRequest } from '../../protocol/messages.js';
import type { Store, SubscriptionRecord } from '../../store/types/store.js';
import type { CommitGate } from '../delivery/commit-gate.js';
import type { Delivery } from '../delivery/delivery.js';
import type { AckInboxes } from '../state/ack-inboxes.js';
import { type Channel, durableKey } from '../state/channel.js';
import type { ClientSession } from '../state/client-session.js';
import type { EndedSubscriptions } from '../state/ended-subscriptions.js';
import type { Ids } from '../state/ids.js';
import { groupKey, QueueGroup } from '../state/queue-group.js';
import { type AckWaitHandler, Subscription } from '../state/subscription.js';
import type { Inactivity } from './inactivity.js';

/** What the start of a subscription needs. */
export interface StartSubscriptionNeeds {
  readonly ids: Pick<Ids, 'subscription'>;
  readonly ackInboxes: Pick<AckInboxes, 'newName'>;
  readonly ackWait: AckWaitHandler;
  /** All that are online, by id. */
  readonly subscriptions: Map<number, Subscription>;
  readonly ended: Pick<EndedSubscriptions, 'remove'>;
  readonly inactivity: Pick<Inactivity, 'stop'>;
  readonly delivery: Pick<Delivery, 'start'>;
  readonly gate: Pick<CommitGate, 'afterCommit'>;
  readonly store: Pick<Store, 'putSubscription' | 'gathering'>;
}

/** Where in its channel, and under which name of a group, a subscription is to start. */
export interface StartPoint {
  /** '' if none; `durable:group` for a durable queue group. */
  readonly groupName: string;
  /** The sequence before the first one that it gets. */
  readonly lastSent: number;
}

/** Makes subscriptions, and brings durables back. Nothing is delivered before the answer to the request is on its way. */
export class SubscriptionStarter {
  readonly #needs: StartSubscriptionNeeds;

  constructor(needs: StartSubscriptionNeeds) {
    this.#needs = needs;
  }

  /** A new subscription, or a member that joins its group. */
  start(
    wanted: SubscriptionRequest,
    client: ClientSession,
    channel: Channel,
    { groupName, lastSent }: StartPoint,
  ): Subscription {
    const { ids, ackInboxes, ackWait } = this.#needs;
    const isDurable = wanted.durableName !== '';
    const group = groupName === '' ? undefined : this.#group(groupName, isDurable, channel, lastSent);
    const id = ids.subscription();
    const record: SubscriptionRecord = {
      id,
      channelId: channel.log.id,
      clientId: wanted.clientId,
      inbox: wanted.inbox,
      ackInbox: ackInboxes.newName(id),
      queueGroup: groupName,
      durableName: groupName === '' ? wanted.durableName : '',
      isDurable,
      isOnline: true,
      maxInFlight: wanted.maxInFlight,
      ackWaitSeconds: wanted.ackWaitSeconds,
      lastSent: group === undefined ? lastSent : 0,
    };
    const sub = new Subscription(record, channel, group, ackWait);
    if (sub.durableName !== '') channel.durables.set(durableKey(sub.clientId, sub.durableName), sub);
    this.#activate(sub, client);
    return sub;
  }

  /** A durable that comes back goes on where it was. */
  resume(durable: Subscription, wanted: SubscriptionRequest, client: ClientSession): void {
    durable.resume(
      wanted.inbox,
      this.#needs.ackInboxes.newName(durable.id),
      wanted.maxInFlight,
      wanted.ackWaitSeconds * 1000,
    );
    this.#activate(durable, client);
  }

  /** Clients drop a message that comes before the answer to their request, so the answer goes first. To be called behind it. */
  deliverAfterCommit(sub: Subscription): void {
    const { gate, store, subscriptions, delivery } = this.#needs;
    const { activation } = sub;
    gate.afterCommit(store.gathering, () => {
      // A durable may have been closed and have come back since, with an answer that is still to come.
      if (subscriptions.get(sub.id) === sub && sub.activation === activation) delivery.start(sub);
    });
  }

  #group(name: string, isDurable: boolean, channel: Channel, lastSent: number): QueueGroup {
    const existing = channel.groups.get(groupKey(name, isDurable));
    if (existing !== undefined) return existing;
    const { ids, store } = this.#needs;
    const group = new QueueGroup(ids.subscription(), name, isDurable, channel, lastSent);
    channel.groups.set(group.key, group);
    store.putSubscription(group.record());
    return group;
  }

  #activate(sub: Subscription, client: ClientSession): void {
    const { ended, subscriptions, inactivity, store } = this.#needs;
    const { channel, group } = sub;
    sub.client = client;
    client.subscriptions.add(sub);
    ended.remove(sub);
    subscriptions.set(sub.id, sub);
    channel.byInbox.set(sub.inbox, sub);
    channel.byAckInbox.set(sub.ackInbox, sub);
    if (group === undefined) channel.subscriptions.push(sub);
    else {
      group.members.push(sub);
      group.showLastSent();
    }
    inactivity.stop(channel);
    store.putSubscription(sub.record());
  }
}
