import { type BelievedTime, nanoseconds } from '../../clock/believed-time.js';
import type { Clock } from '../../clock/clock.js';
import type { TimerWheel } from '../../clock/timer-wheel.js';
import type { Logger } from '../../log/logger.js';
import type { Histogram } from '../../measures/histogram.js';
import { appendRedelivered, readMsgProtoTimestampNs, redeliveredSize } from '../../protocol/msgproto.js';
import type { MessageRef, Store } from '../../store/types/store.js';
import { isBug } from '../../util/bug.js';
import type { BrokerLink } from '../state/broker-link.js';
import type { Channel } from '../state/channel.js';
import type { Counters } from '../state/counters.js';
import type { QueueGroup } from '../state/queue-group.js';
import type { Subscription } from '../state/subscription.js';
import type { Turn } from './turn.js';

/** Messages given to one subscription before others have their turn. */
const MESSAGES_PER_TURN = 4096;
/** Buffered output is handed to the link at this size, not only at the end of the turn. */
const SEND_BYTES = 1024 * 1024;
/** A message that could not be read is tried again after this. */
const READ_RETRY_MS = 5_000;
/** A message too large to be delivered is told of once in this time: it comes round with every ack wait. */
const TOO_LARGE_QUIET_MS = 60_000;
/** Ack waits that end this soon are treated as ended: fewer wake-ups. */
const EXPIRY_SLACK_MS = 15;
/** Of so many first deliveries one is measured, for all messages that went out by it. */
const MEASURED_ONE_IN = 8;

export interface DeliveryOptions {
  turn: Turn;
  clock: Clock;
  /** Of the store: what new messages bear. */
  believed: BelievedTime;
  wheel: TimerWheel;
  counters: Counters;
  /** See `Measures`. */
  latency: Histogram;
  log: Logger;
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
  #tooLargeQuietUntilMs = 0;
  readonly #ref: MessageRef = { buffer: Buffer.alloc(0), start: 0, end: 0 };
  readonly #ready: (Subscription | QueueGroup)[] = [];
  #isDeferred = false;
  readonly #turn: Turn;
  readonly #clock: Clock;
  readonly #believed: BelievedTime;
  readonly #wheel: TimerWheel;
  readonly #counters: Counters;
  readonly #latency: Histogram;
  #firstDeliveries = 0;
  readonly #log: Logger;
  readonly #defer: (callback: () => void) => void;
  readonly #store: Pick<Store, 'noteProgress'>;

  constructor(options: DeliveryOptions) {
    this.#turn = options.turn;
    this.#clock = options.clock;
    this.#believed = options.believed;
    this.#wheel = options.wheel;
    this.#counters = options.counters;
    this.#latency = options.latency;
    this.#log = options.log;
    this.#defer = options.defer;
    this.#store = options.store;
  }

  /** The next link begins with a delivery to all: what was sent on this one may be lost, and comes again when its ack wait ends. */
  linkDown(): void {
    this.waiting.clear();
  }

  /** Answers only from now on: what would go out now, the store would not be told of. */
  freeze(): void {
    this.#isFrozen = true;
  }

  /** Where messages may go out. */
  get #target(): BrokerLink | undefined {
    return this.#isFrozen ? undefined : this.#turn.link;
  }

  /** The channel has new visible messages. */
  deliverChannel(channel: Channel): void {
    const subscriptions = channel.subscriptions;
    for (let i = 0; i < subscriptions.length; i++) this.deliver(subscriptions[i]!);
    if (channel.groups.size > 0) for (const group of channel.groups.values()) this.deliverGroup(group);
    if (channel.deliveredThrough < channel.visible && !channel.hasActiveSubscriptions) {
      channel.deliveredThrough = channel.visible;
    }
  }

  /** Gives a subscription what it has not had yet, as far as its window goes. */
  deliver(sub: Subscription): void {
    if (!sub.isStarted || sub.isOnHold || sub.isLoading || this.#target === undefined) return;
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
      this.#send(sub, sequence, 0);
      sub.inFlight.add(sequence, deadlineMs, 0);
      sub.lastSent = sequence;
      sub.progress.addDelivered(sequence);
    }
    const { lastSent } = sub;
    if (lastSent > sentBefore && lastSent > channel.deliveredThrough) this.#firstDelivered(channel, lastSent);
    this.#afterSending(sub);
  }

  /** Gives the members of a group the group's orphans, then what is new, as far as their windows go. */
  deliverGroup(group: QueueGroup): void {
    if (group.isLoading || group.members.length === 0 || this.#target === undefined) return;
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
      this.#send(member, sequence, redeliveries);
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
      this.#send(member, sequence, 0);
      group.lastSent = sequence;
      this.#nowInFlight(member, sequence, 0);
    }
    const { channel } = group;
    if (group.lastSent > channel.deliveredThrough) this.#firstDelivered(channel, group.lastSent);
  }

  /** The first ack wait of the window may have ended: deliver again what is overdue. */
  redeliver(sub: Subscription): void {
    if (!sub.isOnline || sub.isLoading) return;
    const { nowMs } = this.#turn;
    const { inFlight, group } = sub;
    const log = sub.channel.log;
    let budget = MESSAGES_PER_TURN;
    while (inFlight.headDeadlineMs <= nowMs + EXPIRY_SLACK_MS) {
      const sequence = inFlight.headSequence;
      if (sequence < log.firstSequence) {
        // Gone by a limit: nothing to wait for any more.
        inFlight.remove(sequence);
        this.#ackedIn(sub, sequence);
        continue;
      }
      if (!sub.isStarted || this.#target === undefined || (sub.client!.isSilent && !group?.hasOther(sub))) {
        // Nobody to send to: look again after another ack wait.
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
      this.#redeliverOne(sub, sequence);
    }
    sub.isOnHold = false;
    // What a limit has dropped left room.
    this.serve(sub);
    this.#armAckWait(sub);
  }

  /** An ack made room, or a member came: to be served at the end of the turn, once however many acks there were. */
  makeReady(owner: Subscription | QueueGroup): void {
    if (owner.isReady) return;
    owner.isReady = true;
    this.#ready.push(owner);
  }

  serveReady(): void {
    const ready = this.#ready;
    if (ready.length === 0) return;
    for (let i = 0; i < ready.length; i++) {
      ready[i]!.isReady = false;
      this.serve(ready[i]!);
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

  /** Messages up to `sequence` went out for the first time. Their wait is that of the last one. */
  #firstDelivered(channel: Channel, sequence: number): void {
    const count = sequence - channel.deliveredThrough;
    channel.deliveredThrough = sequence;
    if (this.#firstDeliveries++ % MEASURED_ONE_IN !== 0) return;
    const ref = this.#ref;
    if (!channel.log.find(sequence, ref)) return;
    // What the clock is not believed is not in messages either.
    const nowNs = this.#clock.wallNs() - nanoseconds(this.#believed.doubtMs);
    const waitNs = nowNs - readMsgProtoTimestampNs(ref.buffer, ref.start, ref.end);
    // The time in messages never goes back, the wall clock may.
    this.#latency.observe(Math.max(0, Number(waitNs)) / 1e9, count);
  }

  #redeliverOne(sub: Subscription, sequence: number): void {
    const { inFlight, group } = sub;
    const redeliveries = inFlight.redeliveries(sequence) + 1;
    const other = group?.pick(sub);
    if (other !== undefined) {
      inFlight.remove(sequence);
      this.#ackedIn(sub, sequence);
      this.#send(other, sequence, redeliveries);
      this.#nowInFlight(other, sequence, redeliveries);
    } else if (sub.client!.isSilent && group!.hasResponsiveOther(sub)) {
      // The others have no room now. The next one that has gets it, before anything new.
      inFlight.remove(sequence);
      this.#ackedIn(sub, sequence);
      group!.orphans.add(sequence, 0, redeliveries - 1);
      group!.progress.addDelivered(sequence);
      this.touch(group!);
    } else {
      this.#send(sub, sequence, redeliveries);
      inFlight.renew(sequence, this.#turn.nowMs + sub.ackWaitMs, redeliveries);
    }
  }

  #nowInFlight(member: Subscription, sequence: number, redeliveries: number): void {
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

  #send(sub: Subscription, sequence: number, redeliveries: number): void {
    const { buffer, start, end } = this.#ref;
    const size = end - start + (redeliveries > 0 ? redeliveredSize(redeliveries) : 0);
    if (size > this.#turn.link!.maxPayload) {
      // It would cost the connection. It stays in flight, so that it blocks nobody and is not lost.
      this.#tellTooLarge(sub, sequence, size);
      return;
    }
    const out = this.#turn.out!;
    out.pubTo(sub.deliverTo, size);
    out.bytes(buffer, start, end);
    if (redeliveries > 0) {
      out.reserve(redeliveredSize(redeliveries));
      out.length = appendRedelivered(out.buf, out.length, redeliveries);
      this.#counters.redeliveries++;
    }
    out.crlf();
    this.#counters.messagesOut++;
    this.#counters.bytesOut += size;
    if (out.length >= SEND_BYTES) this.#turn.send();
  }

  #tellTooLarge(sub: Subscription, sequence: number, bytes: number): void {
    if (this.#turn.nowMs < this.#tooLargeQuietUntilMs) return;
    this.#tooLargeQuietUntilMs = this.#turn.nowMs + TOO_LARGE_QUIET_MS;
    this.#log.error(
      { channel: sub.channel.name, sequence, bytes, maxPayload: this.#turn.link!.maxPayload },
      'a stored message is larger than the NATS server now allows: raise its max_payload to have it delivered',
    );
  }

  /** Whether its turn is over, or the socket has to drain first. It is served again then. */
  #mustWait(owner: Subscription | QueueGroup, budget: number): boolean {
    const isFull = this.#turn.link!.isCongested;
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

  /** A repair of the store has said that they are lost: nobody waits for them. @returns whether there is any at `sequence` */
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
    owner.isLoading = true;
    const loaded = sub.channel.log.load(sequence).then(
      () => {
        owner.isLoading = false;
        this.#resume(owner);
      },
      (error: unknown) => {
        if (isBug(error)) throw error;
        // The store has told of it. Nothing is passed over without somebody's word: the read may succeed yet.
        this.#clock.setTimer(READ_RETRY_MS, () => {
          owner.isLoading = false;
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
