import { hash } from 'node:crypto';
import type { Channel } from '../broker/state/channel.js';
import type { QueueGroup } from '../broker/state/queue-group.js';
import type { Subscription } from '../broker/state/subscription.js';

/** How much of the last token of an inbox is shown. */
const SHOWN_LENGTH = 8;
/** And of its digest behind it: 60 bits. */
const DIGEST_LENGTH = 10;

/** A subscription, in the fields of the Go server. */
export interface Subscriptionz {
  client_id: string;
  /** Cut, as the other one: with the whole name a client could act for the owner of the subscription. */
  inbox: string;
  ack_inbox: string;
  durable_name?: string;
  /** `durable:group` for a durable group. */
  queue_name?: string;
  is_durable: boolean;
  is_offline: boolean;
  max_inflight: number;
  /** In seconds. */
  ack_wait: number;
  last_sent: number;
  /** How many messages are delivered and not acknowledged. */
  pending_count: number;
  is_stalled: boolean;
}

export function subscriptionz(sub: Subscription): Subscriptionz {
  const [inbox, ackInbox] = inboxesOf(sub);
  return {
    client_id: sub.clientId,
    inbox,
    ack_inbox: ackInbox,
    ...(sub.durableName !== '' && { durable_name: sub.durableName }),
    ...(sub.group !== undefined && { queue_name: sub.group.name }),
    is_durable: sub.isDurable,
    is_offline: !sub.isOnline,
    max_inflight: sub.maxInFlight,
    ack_wait: sub.ackWaitMs / 1000,
    last_sent: sub.lastSent,
    pending_count: sub.inFlight.size,
    is_stalled: sub.isStalled,
  };
}

/** All subscriptions of a channel, online or not. */
export function* subscriptionsOf(channel: Channel): Generator<Subscriptionz> {
  for (const sub of channel.subscriptions) yield subscriptionz(sub);
  for (const durable of channel.durables.values()) if (!durable.isOnline) yield subscriptionz(durable);
  for (const group of channel.groups.values()) {
    for (const member of group.members) yield subscriptionz(member);
    if (group.members.length === 0) yield offlineGroup(group);
  }
}

/** A durable group without members, for which the Go server shows the state of its last member. */
function offlineGroup(group: QueueGroup): Subscriptionz {
  return {
    client_id: '',
    inbox: '',
    ack_inbox: '',
    queue_name: group.name,
    is_durable: group.isDurable,
    is_offline: true,
    max_inflight: 0,
    ack_wait: 0,
    last_sent: group.lastSent,
    pending_count: group.orphans.size,
    is_stalled: false,
  };
}

/** What was made of the inboxes of a subscription last: they change when a durable comes back. */
const shortened = new WeakMap<
  Subscription,
  { inbox: string; ackInbox: string; shown: readonly [string, string] }
>();

/** The inbox for messages and the ack inbox, cut and distinguished by a digest: the names themselves are for their owner alone. */
function inboxesOf(sub: Subscription): readonly [string, string] {
  const { inbox, ackInbox } = sub;
  const known = shortened.get(sub);
  if (known?.inbox === inbox && known.ackInbox === ackInbox) return known.shown;
  const shown = [shorten(inbox), shorten(ackInbox)] as const;
  shortened.set(sub, { inbox, ackInbox, shown });
  return shown;
}

function shorten(inbox: string): string {
  const length = inbox.lastIndexOf('.') + 1 + SHOWN_LENGTH;
  return `${inbox.slice(0, length)}~${hash('sha256', inbox, 'base64url').slice(0, DIGEST_LENGTH)}`;
}
