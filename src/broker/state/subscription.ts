import type { WheelTimer } from '../../clock/timer-wheel.js';
import { pubPrefix } from '../../link/writer.js';
import { Progress } from '../../store/types/progress.js';
import type { SubscriptionRecord } from '../../store/types/store.js';
import { ackToken } from './ack-inboxes.js';
import type { Channel } from './channel.js';
import type { ClientSession } from './client-session.js';
import { InFlight } from './in-flight.js';
import type { QueueGroup } from './queue-group.js';
import { DeliverySlot } from './slots.js';

/** What a subscription needs of the delivery when its ack wait ends. */
export interface AckWaitHandler {
  onAckWait(subscription: Subscription): void;
}

/**
 * One subscriber: a regular one, a durable (online or not), or a member of a queue group. It owns its in-flight window.
 * As a wheel timer it wakes when the first ack wait of the window may have ended.
 */
export class Subscription implements WheelTimer {
  dueTick = -1;

  readonly id: number;
  readonly channel: Channel;
  readonly group: QueueGroup | undefined;
  readonly durableName: string;
  readonly inFlight = new InFlight();
  /** What each batch stores of it. */
  readonly progress: Progress;

  clientId: string;
  /** The owner while it is online. */
  client: ClientSession | undefined;
  inbox: string;
  ackInbox: string;
  maxInFlight: number;
  ackWaitMs: number;
  /** Highest sequence delivered, or the one before the start. Of a member: the group's counts, this is not used. */
  lastSent: number;
  /** Messages may go out: the answer to the subscription request is on its way before them. */
  isStarted = false;
  /** Which of its lives this is: a durable has a new one each time it comes back. */
  activation = 0;
  readonly delivery = new DeliverySlot();
  // Made when they are needed: most of the many subscriptions that a takeover makes wait.
  #ackToken: Buffer | undefined;
  #deliverTo: Buffer | undefined;

  readonly #ackWait: AckWaitHandler;

  constructor(
    record: SubscriptionRecord,
    channel: Channel,
    group: QueueGroup | undefined,
    ackWait: AckWaitHandler,
  ) {
    this.id = record.id;
    this.progress = new Progress(record.id, group !== undefined);
    this.channel = channel;
    this.group = group;
    this.durableName = record.durableName;
    this.clientId = record.clientId;
    this.inbox = record.inbox;
    this.ackInbox = record.ackInbox;
    this.maxInFlight = record.maxInFlight;
    this.ackWaitMs = record.ackWaitSeconds * 1000;
    this.lastSent = record.lastSent;
    this.#ackWait = ackWait;
  }

  /** As `AckInboxes.isOf` compares it. */
  get ackToken(): Buffer {
    this.#ackToken ??= ackToken(this.ackInbox);
    return this.#ackToken;
  }

  /** `PUB inbox `, ready to be copied. */
  get deliverTo(): Buffer {
    this.#deliverTo ??= pubPrefix(this.inbox);
    return this.#deliverTo;
  }

  get isDurable(): boolean {
    return this.durableName !== '' || (this.group?.isDurable ?? false);
  }

  get isOnline(): boolean {
    return this.client !== undefined;
  }

  /** It was a member of a queue group, and has ended. */
  get hasLeft(): boolean {
    return this.group !== undefined && this.client === undefined;
  }

  /** At its MaxInflight: nothing new goes out before an ack comes in. */
  get isStalled(): boolean {
    return this.inFlight.size >= this.maxInFlight;
  }

  /** A durable comes back with another inbox and other options; where it was in the channel stays. */
  resume(inbox: string, ackInbox: string, maxInFlight: number, ackWaitMs: number): void {
    this.inbox = inbox;
    this.ackInbox = ackInbox;
    this.#ackToken = this.#deliverTo = undefined;
    this.maxInFlight = maxInFlight;
    this.ackWaitMs = ackWaitMs;
    this.activation++;
    this.isStarted = false;
  }

  record(): SubscriptionRecord {
    return {
      id: this.id,
      channelId: this.channel.log.id,
      clientId: this.clientId,
      inbox: this.inbox,
      ackInbox: this.ackInbox,
      queueGroup: this.group?.name ?? '',
      durableName: this.durableName,
      isDurable: this.isDurable,
      isOnline: this.isOnline,
      maxInFlight: this.maxInFlight,
      ackWaitSeconds: this.ackWaitMs / 1000,
      lastSent: this.lastSent,
    };
  }

  onTimer(): void {
    this.#ackWait.onAckWait(this);
  }
}
