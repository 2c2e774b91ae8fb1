import type { Clock } from '../../clock/clock.js';
import type { TimerWheel } from '../../clock/timer-wheel.js';
import type { MessageRef, Store } from '../../store/types/store.js';
import { assert } from '../../util/assert.js';
import { isBug } from '../../util/bug.js';
import type { BrokerLink } from '../state/broker-link.js';
import type { Channel } from '../state/channel.js';
import type { ClientSession } from '../state/client-session.js';
import type { QueueGroup } from '../state/queue-group.js';
import type { Subscription } from '../state/subscription.js';
import type { FirstDeliveries } from './first-deliveries.js';
import type { MessageWriter } from './message-writer.js';
import type { Turn } from './turn.js';

/** Messages given to one subscription before others have their turn. */
const MESSAGES_PER_TURN = 4096;
/** A message that could not be read is tried again after this. */
const READ_RETRY_MS = 5_000;
/** Ack waits that end this soon are treated as ended: fewer wake-ups. */
const EXPIRY_SLACK_MS = 15;
export interface DeliveryOptions {
  turn: Turn;
  clock: Clock;
  wheel: TimerWheel;
  writer: MessageWriter;
  firstDeliveries: FirstDeliveries;
  /** Runs the callback soon, after I/O that is due: `setImmediate`. */
  defer: (callback: () => void) => void;
  /** Gets what has been delivered and acknowledged. */
  store: Pick<Store, 'noteProgress'>;
}

/**
 * Gives messages to subscriptions: new ones as they become visible, those whose ack wait has ended again. It writes into
 * the output of the turn. Only what is visible, so durable, ever goes out.
 */
export class Delivery {
  /** What had more to deliver when its turn was over, or waits for the socket to drain. */
  readonly waiting = new Set<Subscription | QueueGroup>();

  #isFrozen = false;
  readonly #ref: MessageRef = { buffer: Buffer.alloc(0), start: 0, end: 0 };
  readonly #ready: (Subscription | QueueGroup)[] = [];
  #isDeferred = false;
  readonly #turn: Turn;
  readonly #clock: Clock;
  readonly #wheel: TimerWheel;
  readonly #writer: MessageWriter;
  readonly #firstDeliveries: FirstDeliveries;
  readonly #defer: (callback: () => void) => void;
  readonly #store: Pick<Store, 'noteProgress'>;

  constructor(options: DeliveryOptions) {
    this.#turn = options.turn;
    this.#clock = options.clock;
    this.#wheel = options.wheel;
    this.#writer = options.writer;
    this.#firstDeliveries = options.firstDeliveries;
    this.#defer = options.defer;
    this.#store = options.store;
  }

  /** The next link begins with a delivery to all: what was sent on this one may be lost, and comes again when its ack wait ends. */
  linkDown(): void {
    this.waiting.clear();
  }

  /** No messages go out any more, only answers: the store would not learn of a delivery. */
  freeze(): void {
    this.#isFrozen = true;
  }

  /** Where messages may go out. */
  get #target(): BrokerLink | undefined {
    return this.#isFrozen ? undefined : this.#turn.link;
  }

  /** The channel has new visible messages. */
  deliverChannel(channel: Channel): void {
    for (const sub of channel.subscriptions) this.deliver(sub);
    if (channel.groups.size > 0) for (const group of channel.groups.values()) this.deliverGroup(group);
    if (!channel.hasActiveSubscriptions) this.#firstDeliveries.pass(channel);
  }

  /**
   * A subscription gets messages from now on: the answer to its request is on its way. What a durable that comes back has not
   * acknowledged goes out before anything new.
   */
  start(sub: Subscription): void {
    sub.isStarted = true;
    if (sub.group === undefined && sub.inFlight.size > 0) {
      sub.delivery.isOnHold = true;
      sub.inFlight.expireAll(this.#turn.nowMs);
      this.redeliver(sub);
    } else this.serve(sub);
  }

  /** Gives a subscription what it has not had yet, as far as its window goes. */
  deliver(sub: Subscription): void {
    const { isOnHold, isLoading } = sub.delivery;
    if (!sub.isStarted || isOnHold || isLoading || this.#target === undefined) return;
    const channel = sub.channel;
    const log = channel.log;
    const visible = channel.visible;
    const deadlineMs = this.#turn.nowMs + sub.ackWaitMs;
    const sentBefore = sub.lastSent;
    let budget = MESSAGES_PER_TURN;
    while (sub.lastSent < visible && !sub.isStalled) {
      const sequence = Math.max(sub.lastSent + 1, log.firstSequence);
      if (sequence > visible) break;
      if (this.#mustWait(sub, budget--)) break;
      if (!log.find(sequence, this.#ref)) {
        if (this.#passOverLost(sub, channel, sequence)) continue;
        this.#load(sub, sub, sequence);
        break;
      }
      this.#writer.write(sub, sequence, this.#ref, 0);
      sub.inFlight.add(sequence, deadlineMs, 0);
      sub.lastSent = sequence;
      sub.progress.addDelivered(sequence);
    }
    if (sub.lastSent > sentBefore) this.#firstDeliveries.note(channel, sub.lastSent);
    this.#afterSending(sub);
  }

  /** Gives the members of a group the group's orphans, then what is new, as far as their windows go. */
  deliverGroup(group: QueueGroup): void {
    if (group.delivery.isLoading || group.members.length === 0 || this.#target === undefined) return;
    let budget = MESSAGES_PER_TURN;
    // Those of a member that has just left wait for its last acks.
    while (group.orphans.headDeadlineMs <= this.#turn.nowMs) {
      const sequence = group.orphans.headSequence;
      if (sequence < group.channel.log.firstSequence) {
        group.orphans.remove(sequence);
        this.#ackedIn(group, sequence);
        continue;
      }
      const member = group.pick();
      if (member === undefined || this.#mustWait(group, budget--)) return;
      if (!group.channel.log.find(sequence, this.#ref)) {
        if (group.channel.log.skipLost(sequence) > sequence) {
          group.orphans.remove(sequence);
          this.#ackedIn(group, sequence);
          continue;
        }
        this.#load(group, member, sequence);
        return;
      }
      const redeliveries = group.orphans.redeliveries(sequence) + 1;
      group.orphans.remove(sequence);
      this.#ackedIn(group, sequence);
      this.#writer.write(member, sequence, this.#ref, redeliveries);
      this.#nowInFlight(member, sequence, redeliveries);
    }
    const log = group.channel.log;
    const visible = group.channel.visible;
    while (group.lastSent < visible) {
      const sequence = Math.max(group.lastSent + 1, log.firstSequence);
      if (sequence > visible) break;
      const member = group.pick();
      if (member === undefined || this.#mustWait(group, budget--)) break;
      if (!log.find(sequence, this.#ref)) {
        if (this.#passOverLost(group, group.channel, sequence)) continue;
        this.#load(group, member, sequence);
        break;
      }
      this.#writer.write(member, sequence, this.#ref, 0);
      group.lastSent = sequence;
      this.#nowInFlight(member, sequence, 0);
    }
    this.#firstDeliveries.note(group.channel, group.lastSent);
  }

  /** The first ack wait of the window may have ended: deliver again what is overdue. */
  redeliver(sub: Subscription): void {
    const { client, inFlight, group } = sub;
    if (client === undefined || sub.delivery.isLoading) return;
    const { nowMs } = this.#turn;
    const log = sub.channel.log;
    let budget = MESSAGES_PER_TURN;
    while (inFlight.headDeadlineMs <= nowMs + EXPIRY_SLACK_MS) {
      const sequence = inFlight.headSequence;
      if (sequence < log.firstSequence) {
        // A limit has dropped it: there is nothing to wait for any more.
        inFlight.remove(sequence);
        this.#ackedIn(sub, sequence);
        continue;
      }
      if (!sub.isStarted || this.#target === undefined || (client.isSilent && !group?.hasOther(sub))) {
        // There is no subscriber to send to: look again after another ack wait.
        this.#wheel.arm(sub, sub.ackWaitMs);
        return;
      }
      if (budget-- === 0 || this.#target.isCongested) {
        this.#wheel.arm(sub, 0);
        return;
      }
      if (!log.find(sequence, this.#ref)) {
        if (log.skipLost(sequence) > sequence) {
          inFlight.remove(sequence);
          this.#ackedIn(sub, sequence);
          continue;
        }
        this.#load(sub, sub, sequence);
        return;
      }
      this.#redeliverOne(sub, client, sequence);
    }
    sub.delivery.isOnHold = false;
    // What a limit has dropped left room.
    this.serve(sub);
    this.#armAckWait(sub);
  }

  /** An ack made room, or a member came: to be served at the end of the turn, once however many acks there were. */
  makeReady(owner: Subscription | QueueGroup): void {
    if (owner.delivery.isReady) return;
    owner.delivery.isReady = true;
    this.#ready.push(owner);
  }

  serveReady(): void {
    const ready = this.#ready;
    if (ready.length === 0) return;
    for (const owner of ready) {
      owner.delivery.isReady = false;
      this.serve(owner);
    }
    ready.length = 0;
  }

  /** It can get messages again that it could not get before: what is overdue does not wait for another ack wait. */
  wake(sub: Subscription): void {
    if (sub.inFlight.headDeadlineMs <= this.#turn.nowMs) this.#wheel.arm(sub, 0);
    if (sub.group !== undefined) this.makeReady(sub.group);
  }

  /** It has progress: what it has goes into the store's next batch. */
  touch(owner: Subscription | QueueGroup): void {
    this.#store.noteProgress(owner.progress);
  }

  /** It has ended. */
  forget(owner: Subscription | QueueGroup): void {
    this.waiting.delete(owner);
    owner.delivery.isOnHold = false;
  }

  /** The socket has drained: go on with what waited for it. */
  resumeWaiting(): void {
    if (this.waiting.size === 0) return;
    const waiting = [...this.waiting];
    this.waiting.clear();
    this.#turn.run(() => {
      for (const owner of waiting) this.serve(owner);
    });
  }

  /** Delivers to a subscription, or to its group. */
  serve(owner: Subscription | QueueGroup): void {
    if ('members' in owner) this.deliverGroup(owner);
    else if (owner.group !== undefined) this.deliverGroup(owner.group);
    else this.deliver(owner);
  }

  #redeliverOne(sub: Subscription, client: ClientSession, sequence: number): void {
    const { inFlight, group } = sub;
    const redeliveries = inFlight.redeliveries(sequence) + 1;
    const other = group?.pick(sub);
    if (other !== undefined) {
      inFlight.remove(sequence);
      this.#ackedIn(sub, sequence);
      this.#writer.write(other, sequence, this.#ref, redeliveries);
      this.#nowInFlight(other, sequence, redeliveries);
    } else if (client.isSilent && group?.hasResponsiveOther(sub)) {
      // The others have no room now. The next one that has gets it, before anything new.
      inFlight.remove(sequence);
      this.#ackedIn(sub, sequence);
      group.orphans.add(sequence, 0, redeliveries - 1);
      group.progress.addDelivered(sequence);
      this.touch(group);
    } else {
      this.#writer.write(sub, sequence, this.#ref, redeliveries);
      inFlight.renew(sequence, this.#turn.nowMs + sub.ackWaitMs, redeliveries);
    }
  }

  #nowInFlight(member: Subscription, sequence: number, redeliveries: number): void {
    assert(!member.isStalled, 'a member of a queue group gets no more than its MaxInflight');
    if (sequence > member.lastSent) member.lastSent = sequence;
    member.inFlight.add(sequence, this.#turn.nowMs + member.ackWaitMs, redeliveries);
    member.progress.addDelivered(sequence);
    this.#afterSending(member);
  }

  #afterSending(sub: Subscription): void {
    if (sub.inFlight.size === 0) return;
    if (!sub.progress.isNoted && !sub.progress.isEmpty) this.touch(sub);
    if (sub.dueTick < 0) this.#armAckWait(sub);
  }

  #armAckWait(sub: Subscription): void {
    if (sub.inFlight.size > 0) this.#wheel.arm(sub, sub.inFlight.headDeadlineMs - this.#turn.nowMs);
  }

  #ackedIn(owner: Subscription | QueueGroup, sequence: number): void {
    owner.progress.addAcked(sequence);
    this.touch(owner);
  }

  /** Whether its turn is over, or the socket has to drain first. It is served again then. */
  #mustWait(owner: Subscription | QueueGroup, budget: number): boolean {
    const isFull = this.#turn.link?.isCongested === true;
    if (budget > 0 && !isFull) return false;
    this.waiting.add(owner);
    if (!isFull && !this.#isDeferred) {
      this.#isDeferred = true;
      this.#defer(() => {
        this.#isDeferred = false;
        this.resumeWaiting();
      });
    }
    return true;
  }

  /** Passes over messages that a repair of the store has declared lost. @returns whether there is any at `sequence` */
  #passOverLost(owner: Subscription | QueueGroup, { log, visible }: Channel, sequence: number): boolean {
    const last = Math.min(visible, log.skipLost(sequence) - 1);
    if (last < sequence) return false;
    owner.lastSent = last;
    owner.progress.addSkipped(sequence, last);
    this.touch(owner);
    return true;
  }

  /** Reads a message from disk, then goes on where this left off. */
  #load(owner: Subscription | QueueGroup, sub: Subscription, sequence: number): void {
    owner.delivery.isLoading = true;
    const loaded = sub.channel.log.load(sequence).then(
      () => {
        owner.delivery.isLoading = false;
        this.#resume(owner);
      },
      (error: unknown) => {
        if (isBug(error)) throw error;
        // The store has logged it. Only a repair may pass over messages: the read may succeed yet.
        this.#clock.setTimer(READ_RETRY_MS, () => {
          owner.delivery.isLoading = false;
          this.#resume(owner);
        });
      },
    );
    this.#turn.follow(loaded);
  }

  #resume(owner: Subscription | QueueGroup): void {
    this.#turn.run(() => {
      if ('members' in owner) this.deliverGroup(owner);
      // Its ack waits were not looked after meanwhile, and acks may have changed which one is next.
      else this.redeliver(owner);
    });
  }
}
