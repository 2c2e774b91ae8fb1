import { ProtocolError, STAN_ERROR } from '../../protocol/error-texts.js';
import {
  decodeSubscriptionRequest,
  encodeSubscriptionResponse,
  StartPosition,
  type SubscriptionRequest,
} from '../../protocol/messages.js';
import { isChannelNameStringValid } from '../../protocol/stan-subjects.js';
import type { ChannelLog, SubscriptionRecord } from '../../store/types/store.js';
import { type Channel, durableKey } from '../state/channel.js';
import type { ClientSession } from '../state/client-session.js';
import { groupKey, QueueGroup } from '../state/queue-group.js';
import { Subscription } from '../state/subscription.js';
import {
  answerAfterCommit,
  answerNow,
  type BrokerContext,
  type Request,
  refuseAfterCommit,
} from './context.js';
import { endSubscription } from './end-subscription.js';
import { watchInactivity } from './inactivity.js';
import { isAsSent, isInboxValid, MAX_NAME_BYTES } from './names.js';
import { openChannel } from './open-channel.js';

/** Subscription requests: a new subscription, a durable that comes back, a member that joins its group. */
export async function handleSubscribe(context: BrokerContext, request: Request): Promise<void> {
  const wanted = decode(request.payload);
  const error =
    wanted === undefined
      ? STAN_ERROR.invalidSubscribeRequest
      : checkRequest(context, wanted, request.payload);
  if (wanted === undefined || error !== undefined) {
    context.badInput.note('subscription refused', () => ({
      clientId: wanted?.clientId.slice(0, 100),
      channel: wanted?.subject.slice(0, 100),
      answer: error,
    }));
    refuse(context, request, error!);
    return;
  }
  const name = Buffer.from(wanted.subject);
  const channel = openChannel(context, name, 0, name.length);
  if (typeof channel === 'string') {
    context.badInput.note('subscription refused', () => ({
      clientId: wanted.clientId,
      channel: wanted.subject.slice(0, 100),
      answer: channel,
    }));
    refuse(context, request, channel);
    return;
  }
  if (wanted.startPosition !== StartPosition.TIME_DELTA_START) {
    subscribe(context, request, wanted, channel, sequenceBefore(channel.log, wanted));
    return;
  }
  const client = context.clients.get(wanted.clientId);
  const startNs = context.store.nowNs() - wanted.startTimeDelta;
  const start = await channel.log.sequenceAtTime(startNs).catch((error: unknown) => {
    context.log.error(
      { err: error, channel: channel.name },
      'cannot find the start of a subscription in the log',
    );
    return undefined;
  });
  if (context.isDraining) return;
  context.turn.run(() => {
    // The search may have read from disk: the world has moved on, and the client may be another one of the same id.
    if (context.clients.get(wanted.clientId) !== client) {
      refuse(context, request, STAN_ERROR.unknownClient);
    } else if (context.channels.get(channel.name) !== channel) {
      refuse(context, request, STAN_ERROR.channelDeleteInProgress);
    } else if (start === undefined) {
      refuse(context, request, UNREADABLE);
    } else {
      subscribe(context, request, wanted, channel, start - 1);
    }
    context.store.commit();
  });
}

const UNREADABLE = 'stanchion: the log of the channel cannot be read: see the log of the server';

/** In the order of the Go server's checks, so that a request with several faults gets the same answer. */
function checkRequest(
  context: BrokerContext,
  wanted: SubscriptionRequest,
  payload: Buffer,
): string | undefined {
  if (wanted.clientId === '') return STAN_ERROR.clientIdMissing;
  if (wanted.ackWaitSeconds <= 0) return STAN_ERROR.invalidAckWait;
  if (wanted.maxInFlight <= 0) return STAN_ERROR.invalidMaxInFlight;
  if (wanted.startPosition < StartPosition.NEW_ONLY || wanted.startPosition > StartPosition.FIRST) {
    return STAN_ERROR.invalidStart;
  }
  // The channel's name is checked where it is opened; its answer comes before that of an unknown client.
  if (wanted.subject === '' || Buffer.byteLength(wanted.subject) > MAX_NAME_BYTES) {
    return STAN_ERROR.invalidSubject;
  }
  if (!isChannelNameStringValid(wanted.subject)) return STAN_ERROR.invalidSubject;
  if (!isAsSent(wanted.subject, payload)) return STAN_ERROR.invalidSubject;
  if (context.clients.get(wanted.clientId) === undefined) return STAN_ERROR.unknownClient;
  if (wanted.queueGroup !== '' && wanted.durableName.includes(':')) return STAN_ERROR.invalidDurableName;
  // What the Go server does not check comes last.
  if (!isInboxValid(wanted.inbox)) return STAN_ERROR.invalidSubscribeRequest;
  if (Buffer.byteLength(wanted.queueGroup) > MAX_NAME_BYTES) return STAN_ERROR.invalidSubscribeRequest;
  if (Buffer.byteLength(wanted.durableName) > MAX_NAME_BYTES) return STAN_ERROR.invalidSubscribeRequest;
  for (const name of [wanted.inbox, wanted.queueGroup, wanted.durableName]) {
    if (!isAsSent(name, payload)) return STAN_ERROR.invalidSubscribeRequest;
  }
  return undefined;
}

/** The sequence before the first one wanted. A position outside the log becomes its nearest end. */
function sequenceBefore(log: ChannelLog, wanted: SubscriptionRequest): number {
  const { firstSequence, lastSequence, newestMessage } = log;
  switch (wanted.startPosition) {
    case StartPosition.LAST_RECEIVED:
      return Math.max(0, newestMessage - 1);
    case StartPosition.SEQUENCE_START:
      return Math.min(Math.max(wanted.startSequence, firstSequence) - 1, lastSequence);
    case StartPosition.FIRST:
      return firstSequence - 1;
    default:
      return lastSequence;
  }
}

function subscribe(
  context: BrokerContext,
  request: Request,
  wanted: SubscriptionRequest,
  channel: Channel,
  lastSent: number,
): void {
  const client = context.clients.get(wanted.clientId)!;
  const isDurable = wanted.durableName !== '';
  const groupName =
    wanted.queueGroup !== '' && isDurable ? `${wanted.durableName}:${wanted.queueGroup}` : wanted.queueGroup;
  const asked = channel.byInbox.get(wanted.inbox);
  if (asked !== undefined && isRepetition(asked, wanted, client, groupName)) {
    confirm(context, request, asked);
    return;
  }
  let durable: Subscription | undefined;
  if (isDurable && groupName === '') {
    durable = channel.durables.get(durableKey(client.id, wanted.durableName));
    if (durable?.isOnline) {
      if (!context.options.replaceDurable) {
        context.badInput.note('durable is in use', () => ({ clientId: client.id, channel: channel.name }));
        refuse(context, request, STAN_ERROR.duplicateDurable);
        return;
      }
      endSubscription(context, durable, 'close');
    }
  }
  const group = groupName === '' ? undefined : channel.groups.get(groupKey(groupName, isDurable));
  const { maxSubscriptions } = channel.limits;
  const revives = durable !== undefined || (group !== undefined && group.members.length === 0);
  if (!revives && maxSubscriptions > 0 && channel.subscriptionCount >= maxSubscriptions) {
    context.badInput.note('too many subscriptions', () => ({ clientId: client.id, channel: channel.name }));
    refuse(context, request, STAN_ERROR.tooManySubscriptions);
    if (!channel.hasActiveSubscriptions) watchInactivity(context, channel);
    return;
  }
  const sub =
    durable === undefined
      ? create(context, wanted, channel, groupName, isDurable, lastSent)
      : resume(context, durable, wanted);
  activate(context, sub, client);
  answerAfterCommit(context, request.reply, encodeSubscriptionResponse({ ackInbox: sub.ackInbox }));
  startAfterCommit(context, sub);
  context.log.debug(
    {
      clientId: client.id,
      channel: channel.name,
      subscription: sub.id,
      durable: isDurable,
      group: groupName,
    },
    durable === undefined ? 'subscription started' : 'durable resumed',
  );
}

/** All clients make an inbox for each subscription: one that has it already asks again, since it has not seen the answer. */
function isRepetition(
  sub: Subscription,
  wanted: SubscriptionRequest,
  client: ClientSession,
  groupName: string,
): boolean {
  return (
    sub.client === client &&
    (sub.group?.name ?? '') === groupName &&
    sub.isDurable === (wanted.durableName !== '') &&
    sub.durableName === (groupName === '' ? wanted.durableName : '')
  );
}

function confirm(context: BrokerContext, request: Request, sub: Subscription): void {
  const answer = encodeSubscriptionResponse({ ackInbox: sub.ackInbox });
  if (sub.isStarted) {
    answerNow(context, request.reply, answer);
    return;
  }
  // Its first request is not durable yet: the answer waits as that one's does.
  context.store.putSubscription(sub.record());
  answerAfterCommit(context, request.reply, answer);
}

function create(
  context: BrokerContext,
  wanted: SubscriptionRequest,
  channel: Channel,
  groupName: string,
  isDurable: boolean,
  lastSent: number,
): Subscription {
  let group: QueueGroup | undefined;
  if (groupName !== '') {
    group = channel.groups.get(groupKey(groupName, isDurable));
    if (group === undefined) {
      group = new QueueGroup(context.nextSubscriptionId++, groupName, isDurable, channel, lastSent);
      channel.groups.set(group.key, group);
      context.store.putSubscription(group.record());
    }
  }
  const id = context.nextSubscriptionId++;
  const record: SubscriptionRecord = {
    id,
    channelId: channel.log.id,
    clientId: wanted.clientId,
    inbox: wanted.inbox,
    ackInbox: context.ackInboxes.nameOf(id, 0),
    queueGroup: groupName,
    durableName: groupName === '' ? wanted.durableName : '',
    isDurable,
    isOnline: true,
    maxInFlight: wanted.maxInFlight,
    ackWaitSeconds: wanted.ackWaitSeconds,
    lastSent: group === undefined ? lastSent : 0,
  };
  const sub = new Subscription(record, channel, group, context.ackWait);
  if (sub.durableName !== '') channel.durables.set(durableKey(sub.clientId, sub.durableName), sub);
  return sub;
}

function resume(context: BrokerContext, durable: Subscription, wanted: SubscriptionRequest): Subscription {
  durable.resume(
    wanted.inbox,
    context.ackInboxes.nameOf(durable.id, durable.activation + 1),
    wanted.maxInFlight,
    wanted.ackWaitSeconds * 1000,
  );
  return durable;
}

function activate(context: BrokerContext, sub: Subscription, client: ClientSession): void {
  const { channel } = sub;
  sub.client = client;
  client.subscriptions.add(sub);
  context.ended.remove(sub);
  context.subscriptions.set(sub.id, sub);
  channel.byInbox.set(sub.inbox, sub);
  channel.byAckInbox.set(sub.ackInbox, sub);
  if (sub.group === undefined) channel.subscriptions.push(sub);
  else {
    sub.group.members.push(sub);
    sub.group.showLastSent();
  }
  context.wheel.disarm(channel);
  context.store.putSubscription(sub.record());
}

/** Clients drop a message that comes before the answer to their request: so the answer goes first. */
function startAfterCommit(context: BrokerContext, sub: Subscription): void {
  const { activation } = sub;
  context.gate.afterCommit(context.store.gathering, () => {
    // A durable may have been closed and have come back since, with an answer that is still to come.
    if (context.subscriptions.get(sub.id) !== sub || sub.activation !== activation) return;
    sub.isStarted = true;
    if (sub.group !== undefined) {
      context.delivery.deliverGroup(sub.group);
    } else if (sub.inFlight.size > 0) {
      sub.isOnHold = true;
      sub.inFlight.expireAll(context.turn.nowMs);
      context.delivery.redeliver(sub);
    } else {
      context.delivery.deliver(sub);
    }
  });
}

function decode(payload: Uint8Array): SubscriptionRequest | undefined {
  try {
    return decodeSubscriptionRequest(payload);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

function refuse(context: BrokerContext, request: Request, error: string): void {
  refuseAfterCommit(context, request.reply, encodeSubscriptionResponse({ error }));
}
