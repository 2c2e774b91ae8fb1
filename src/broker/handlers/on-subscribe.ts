import type { Logger } from '../../log/logger.js';
import { ProtocolError, STAN_ERROR } from '../../protocol/error-texts.js';
import {
  decodeSubscriptionRequest,
  encodeSubscriptionResponse,
  StartPosition,
  type SubscriptionRequest,
} from '../../protocol/messages.js';
import { isChannelNameStringValid } from '../../protocol/stan-subjects.js';
import type { ChannelLog, Store } from '../../store/types/store.js';
import { assert } from '../../util/assert.js';
import { isBug } from '../../util/bug.js';
import type { Answers } from '../delivery/answers.js';
import type { Turn } from '../delivery/turn.js';
import type { BadInput, BadInputKind } from '../state/bad-input.js';
import { type Channel, durableKey } from '../state/channel.js';
import type { Channels } from '../state/channels.js';
import type { ClientSession } from '../state/client-session.js';
import type { Clients } from '../state/clients.js';
import { groupKey } from '../state/queue-group.js';
import type { Subscription } from '../state/subscription.js';
import type { AfterExpiry } from './after-expiry.js';
import type { BrokerOptions } from './broker-options.js';
import type { SubscriptionEnder } from './end-subscription.js';
import type { Inactivity } from './inactivity.js';
import { isAsSent, isInboxValid, MAX_NAME_BYTES } from './names.js';
import type { ChannelOpener } from './open-channel.js';
import type { Request } from './request.js';
import type { SubscriptionStarter } from './start-subscription.js';

/** What a subscribe needs. */
export interface SubscribeNeeds {
  readonly options: Pick<BrokerOptions, 'replaceDurable'>;
  readonly clients: Pick<Clients, 'get'>;
  readonly channels: Pick<Channels, 'get'>;
  readonly opener: Pick<ChannelOpener, 'open'>;
  readonly starter: SubscriptionStarter;
  readonly ender: Pick<SubscriptionEnder, 'end'>;
  readonly inactivity: Pick<Inactivity, 'watch'>;
  readonly turn: Pick<Turn, 'resume' | 'follow'>;
  readonly afterExpiry: Pick<AfterExpiry, 'run'>;
  readonly answers: Pick<Answers, 'now' | 'afterCommit' | 'refuse'>;
  readonly store: Pick<Store, 'nowNs' | 'putSubscription' | 'commit'>;
  readonly badInput: BadInput;
  readonly log: Logger;
}

const UNREADABLE = 'stanchion: the log of the channel cannot be read: see the log of the server';

/** Subscription requests: a new subscription, a durable that comes back, a member that joins its group. */
export class SubscribeHandler {
  readonly #needs: SubscribeNeeds;

  constructor(needs: SubscribeNeeds) {
    this.#needs = needs;
  }

  handle(request: Request): void {
    const { clients, opener, afterExpiry } = this.#needs;
    const wanted = decode(request.payload);
    if (wanted === undefined) {
      this.#refuse(request, undefined, 'subscription refused', STAN_ERROR.invalidSubscribeRequest);
      return;
    }
    const error = whatIsWrong(wanted, request.payload, clients);
    if (error !== undefined) {
      this.#refuse(request, wanted, 'subscription refused', error);
      return;
    }
    const name = Buffer.from(wanted.subject);
    const channel = opener.open(name, 0, name.length);
    if (typeof channel === 'string') {
      this.#refuse(request, wanted, 'subscription refused', channel);
      return;
    }
    const client = clients.get(wanted.clientId);
    afterExpiry.run(channel.log, () => {
      if (this.#isPresent(request, channel, client)) this.#begin(request, wanted, channel);
    });
  }

  #begin(request: Request, wanted: SubscriptionRequest, channel: Channel): void {
    if (wanted.startPosition === StartPosition.TIME_DELTA_START) {
      this.#needs.turn.follow(this.#subscribeFromTime(request, wanted, channel));
    } else {
      this.#subscribe(request, wanted, channel, sequenceBefore(channel.log, wanted));
    }
  }

  /** Whether client and channel are those of the request: it may have waited, and the client may be another one of the same id. */
  #isPresent(request: Request, channel: Channel, client: ClientSession | undefined): boolean {
    const { clients, channels } = this.#needs;
    if (client === undefined || clients.get(client.id) !== client) {
      this.#answerError(request, STAN_ERROR.unknownClient);
      return false;
    }
    if (channels.get(channel.name) === channel) return true;
    this.#answerError(request, STAN_ERROR.channelDeleteInProgress);
    return false;
  }

  async #subscribeFromTime(request: Request, wanted: SubscriptionRequest, channel: Channel): Promise<void> {
    const { clients, turn, store, log } = this.#needs;
    const client = clients.get(wanted.clientId);
    const startNs = store.nowNs() - wanted.startTimeDelta;
    const start = await channel.log.sequenceAtTime(startNs).catch((error: unknown) => {
      if (isBug(error)) throw error;
      log.error({ err: error, channel: channel.name }, 'cannot find the start of a subscription in the log');
      return undefined;
    });
    turn.resume(() => {
      // The search may have read from disk: the world has moved on.
      if (this.#isPresent(request, channel, client)) {
        if (start === undefined) this.#answerError(request, UNREADABLE);
        else this.#subscribe(request, wanted, channel, start - 1);
      }
      store.commit();
    });
  }

  #subscribe(request: Request, wanted: SubscriptionRequest, channel: Channel, lastSent: number): void {
    const { options, clients, starter, ender, inactivity, answers, log } = this.#needs;
    const client = clients.get(wanted.clientId);
    assert(client !== undefined, 'a subscription is made for a client that is connected');
    const isDurable = wanted.durableName !== '';
    const groupName =
      wanted.queueGroup !== '' && isDurable
        ? `${wanted.durableName}:${wanted.queueGroup}`
        : wanted.queueGroup;
    const asked = channel.byInbox.get(wanted.inbox);
    if (asked !== undefined && isRepetition(asked, wanted, client, groupName)) {
      this.#confirm(request, asked);
      return;
    }
    let durable: Subscription | undefined;
    if (isDurable && groupName === '') {
      durable = channel.durables.get(durableKey(client.id, wanted.durableName));
      if (durable?.isOnline) {
        if (!options.replaceDurable) {
          this.#refuse(request, wanted, 'durable is in use', STAN_ERROR.duplicateDurable);
          return;
        }
        ender.end(durable, 'close');
      }
    }
    const group = groupName === '' ? undefined : channel.groups.get(groupKey(groupName, isDurable));
    const { maxSubscriptions } = channel.limits;
    const revives = durable !== undefined || (group !== undefined && group.members.length === 0);
    if (!revives && maxSubscriptions > 0 && channel.subscriptionCount >= maxSubscriptions) {
      this.#refuse(request, wanted, 'too many subscriptions', STAN_ERROR.tooManySubscriptions);
      if (!channel.hasActiveSubscriptions) inactivity.watch(channel);
      return;
    }
    let sub = durable;
    if (sub === undefined) sub = starter.start(wanted, client, channel, { groupName, lastSent });
    else starter.resume(sub, wanted, client);
    answers.afterCommit(request.reply, encodeSubscriptionResponse({ ackInbox: sub.ackInbox }));
    starter.deliverAfterCommit(sub);
    log.debug(
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

  /** It asks again, since it has not seen the answer. */
  #confirm(request: Request, sub: Subscription): void {
    const { store, answers } = this.#needs;
    const answer = encodeSubscriptionResponse({ ackInbox: sub.ackInbox });
    if (sub.isStarted) {
      answers.now(request.reply, answer);
      return;
    }
    // Its first request is not durable yet: the answer waits as that one's does.
    store.putSubscription(sub.record());
    answers.afterCommit(request.reply, answer);
  }

  #refuse(
    request: Request,
    wanted: SubscriptionRequest | undefined,
    kind: BadInputKind,
    error: string,
  ): void {
    this.#needs.badInput.note(kind, () => ({
      clientId: wanted?.clientId.slice(0, 100),
      channel: wanted?.subject.slice(0, 100),
      answer: error,
    }));
    this.#answerError(request, error);
  }

  #answerError(request: Request, error: string): void {
    this.#needs.answers.refuse(request.reply, encodeSubscriptionResponse({ error }));
  }
}

/** In the order of the Go server's checks, so that a request with several faults gets the same answer. */
function whatIsWrong(
  wanted: SubscriptionRequest,
  payload: Buffer,
  clients: Pick<Clients, 'get'>,
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
  if (clients.get(wanted.clientId)?.mayHaveSent(wanted.connId) !== true) return STAN_ERROR.unknownClient;
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

function decode(payload: Uint8Array): SubscriptionRequest | undefined {
  try {
    return decodeSubscriptionRequest(payload);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}
