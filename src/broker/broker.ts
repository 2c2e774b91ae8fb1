import type { Clock } from '../clock/clock.js';
import { TimerWheel } from '../clock/timer-wheel.js';
import type { RecentGuids } from '../dedup/recent-guids.js';
import type { LinkHandler } from '../link/link-handler.js';
import type { Logger } from '../log/logger.js';
import { RateLimitedLog } from '../log/rate-limited.js';
import { Measures } from '../measures/measures.js';
import { type StanSubjects, stanSubjects } from '../protocol/stan-subjects.js';
import type { BatchId, ClientRecord, SnapshotSink, Store, StoreHost } from '../store/types/store.js';
import type { Probe } from './check/probe.js';
import { CommitGate, type GateOutput } from './delivery/commit-gate.js';
import { Delivery } from './delivery/delivery.js';
import { Turn } from './delivery/turn.js';
import { answerProbe } from './handlers/answer-probe.js';
import type { BrokerContext, BrokerOptions, ClientPinger, Request } from './handlers/context.js';
import { endLeave } from './handlers/end-subscription.js';
import { ExpiryTimer } from './handlers/expiry-timer.js';
import { sendHeartbeat } from './handlers/heartbeats.js';
import { AckHandler } from './handlers/on-ack.js';
import { handleClose } from './handlers/on-close.js';
import { ConnectHandler } from './handlers/on-connect.js';
import { handlePing } from './handlers/on-ping.js';
import { PublishHandler } from './handlers/on-publish.js';
import { handleSubscribe } from './handlers/on-subscribe.js';
import { handleUnsubscribe } from './handlers/on-unsubscribe.js';
import { recover } from './handlers/recover.js';
import { writeSnapshot } from './handlers/snapshot.js';
import { AckInboxes } from './state/ack-inboxes.js';
import type { BadInputKind } from './state/bad-input.js';
import type { BrokerLink } from './state/broker-link.js';
import { Channels } from './state/channels.js';
import { ClientSession } from './state/client-session.js';
import { Clients } from './state/clients.js';
import { Counters } from './state/counters.js';
import { EndedSubscriptions } from './state/ended-subscriptions.js';
import type { AckWaitHandler, Subscription } from './state/subscription.js';
import { WaitingMessages } from './waiting-messages.js';

/** Where publishers send. */
export function publishSubject(subjects: StanSubjects): string {
  return `${subjects.publish}.>`;
}

/** Where subscribers acknowledge: the store's, so that a successor hears them too. */
export function ackSubject(storeId: string): string {
  return `${ackInboxPrefix(storeId)}*`;
}

function ackInboxPrefix(storeId: string): string {
  return `_INBOX.${storeId}.`;
}

/** What a broker is made of, and what it tells its owner. */
export interface BrokerParts {
  options: BrokerOptions;
  store: Store;
  clock: Clock;
  log: Logger;
  /** Where waits of publishers and subscribers are noted. Default: nowhere. */
  measures?: Measures;
  pinger: ClientPinger;
  /** What it sends to itself to see whether it is heard. Default: nothing. */
  probe?: Probe | undefined;
  /** Any number, hard to guess. */
  hashSeed: number;
  /** Runs a callback soon, after I/O that is due. */
  defer: (callback: () => void) => void;
  /** It cannot go on: nothing more is said to clients. Called once. */
  onFailed: (error: Error) => void;
}

/**
 * The broker: takes the protocol's messages from the link, in the order in which they come, and hands each to its handler.
 * Whatever an answer tells of is durable before the answer leaves: see `CommitGate`.
 */
export class Broker implements BrokerContext, LinkHandler, StoreHost {
  readonly options: BrokerOptions;
  readonly subjects: StanSubjects;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly store: Store;
  readonly gate: CommitGate;
  readonly clients: Clients;
  readonly channels: Channels;
  readonly subscriptions = new Map<number, Subscription>();
  readonly ended: EndedSubscriptions;
  readonly recentGuids: RecentGuids;
  readonly turn: Turn;
  readonly delivery: Delivery;
  readonly pinger: ClientPinger;
  readonly counters = new Counters();
  readonly log: Logger;
  readonly badInput: RateLimitedLog<BadInputKind>;
  readonly ackInboxes: AckInboxes;
  readonly ackWait: AckWaitHandler;
  readonly probe: Probe | undefined;
  nextSession: number;
  nextSubscriptionId: number;

  readonly #connect: ConnectHandler;
  readonly #publish: PublishHandler;
  readonly #ack: AckHandler;
  readonly #requests = new Map<number, (request: Request) => void>();
  readonly #expiry: ExpiryTimer;
  readonly #onFailed: (error: Error) => void;
  readonly #sids: number[] = [];
  readonly #waiting = new WaitingMessages();
  readonly #defer: (callback: () => void) => void;
  #isGoingOn = false;
  #publishSid = -1;
  #ackSid = -1;
  #pingSid = -1;
  isDraining = false;
  #isStopped = false;

  constructor(parts: BrokerParts) {
    const { store } = parts;
    this.options = parts.options;
    this.subjects = stanSubjects(parts.options.clusterId, parts.options.discoverPrefix);
    this.clock = parts.clock;
    this.wheel = new TimerWheel(parts.clock);
    this.ended = new EndedSubscriptions(this.wheel);
    this.store = store;
    const measures = parts.measures ?? new Measures();
    this.gate = new CommitGate(parts.clock, measures.publishAck);
    this.clients = new Clients(parts.hashSeed);
    this.channels = new Channels(parts.hashSeed);
    this.pinger = parts.pinger;
    this.probe = parts.probe;
    this.log = parts.log;
    this.badInput = new RateLimitedLog(parts.log, parts.clock);
    this.ackInboxes = new AckInboxes(ackInboxPrefix(store.storeId));
    this.recentGuids = store.recovered.recentGuids;
    this.nextSession = store.recovered.nextSession;
    this.nextSubscriptionId = store.recovered.nextSubscriptionId;
    this.turn = new Turn({ clock: parts.clock, atEnd: () => this.delivery.serveReady() });
    this.delivery = new Delivery({
      turn: this.turn,
      clock: parts.clock,
      believed: store.believed,
      wheel: this.wheel,
      counters: this.counters,
      latency: measures.delivery,
      log: parts.log,
      defer: parts.defer,
      store,
    });
    this.ackWait = {
      onAckWait: (sub) => {
        this.turn.run(() => {
          if (sub.hasLeft) endLeave(this, sub);
          else this.delivery.redeliver(sub);
        });
      },
    };
    this.#connect = new ConnectHandler(this);
    this.#publish = new PublishHandler(this);
    this.#ack = new AckHandler(this);
    this.#expiry = new ExpiryTimer(this);
    this.#onFailed = parts.onFailed;
    this.#defer = parts.defer;
    recover(this);
    // While the link is being set up. The first publish would do it.
    parts.defer(() => this.recentGuids.enter());
    store.attach(this);
    this.#expiry.start();
  }

  /** The subscriptions that it made on its newest link: whoever keeps the link beyond the broker ends them. */
  get sids(): readonly number[] {
    return this.#sids;
  }

  /** NATS takes less than it is sent: deliveries wait. */
  get isCongested(): boolean {
    return this.turn.link?.isCongested ?? false;
  }

  newClientSession(record: ClientRecord): ClientSession {
    return new ClientSession(record, (client) => void sendHeartbeat(this, client));
  }

  /**
   * Serves on this link. Resolves when the NATS server knows of all subscriptions, so that clients can come.
   *
   * @param adopted subscriptions that the link has already, by subject: their messages are this broker's from now on
   */
  async linkUp(link: BrokerLink, adopted?: ReadonlyMap<string, number>): Promise<void> {
    this.gate.linkUp(link);
    this.turn.linkUp(link);
    const { subjects } = this;
    this.#sids.length = 0;
    const listen = (subject: string): number => {
      const sid = adopted?.get(subject) ?? link.subscribe(subject);
      this.#sids.push(sid);
      return sid;
    };
    this.#publishSid = listen(publishSubject(subjects));
    this.#ackSid = listen(ackSubject(this.store.storeId));
    this.#requests.clear();
    const onRequest = (subject: string, handle: (request: Request) => void): number => {
      const sid = listen(subject);
      this.#requests.set(sid, handle);
      return sid;
    };
    onRequest(subjects.discover, (request) => this.#connect.handle(request));
    this.#pingSid = onRequest(subjects.pings, (request) => handlePing(this, request));
    onRequest(subjects.subscribe, (request) => this.#subscribe(request));
    onRequest(subjects.subscriptionClose, (request) => handleUnsubscribe(this, request, 'close'));
    onRequest(subjects.unsubscribe, (request) => handleUnsubscribe(this, request, 'unsubscribe'));
    onRequest(subjects.close, (request) => handleClose(this, request));
    await link.flush();
    if (this.turn.link !== link) return;
    this.turn.run(() => {
      for (const channel of this.channels.all()) this.delivery.deliverChannel(channel);
      for (const sub of this.subscriptions.values()) this.delivery.wake(sub);
    });
  }

  /** What was to be sent is dropped with the link. The state stays; clients hear nothing until the next link. */
  linkDown(): void {
    this.#publishSid = this.#ackSid = this.#pingSid = -1;
    this.#requests.clear();
    this.#waiting.clear();
    this.gate.linkDown();
    this.turn.linkDown();
    this.delivery.linkDown();
  }

  /** The link has drained. */
  linkDrained(): void {
    this.delivery.resumeWaiting();
  }

  /**
   * Takes nothing more, and delivers nothing more. What was taken before is still answered as it becomes durable; whoever comes next
   * delivers it, and knows of all that went out before.
   */
  drain(): void {
    if (this.isDraining) return;
    // What would have to wait is refused: nobody would be there for it afterwards.
    this.#goOn(false);
    this.delivery.freeze();
    // What the store has been told by now goes with its last batch.
    this.store.recordNotedProgress();
    this.isDraining = true;
    this.wheel.stop();
  }

  /** Says nothing more to anybody. The store is its owner's to close. */
  stop(): void {
    this.isDraining = this.#isStopped = true;
    this.linkDown();
    this.wheel.stop();
  }

  onMessage(
    sid: number,
    buffer: Buffer,
    subjectStart: number,
    subjectEnd: number,
    replyStart: number,
    replyEnd: number,
    payloadStart: number,
    payloadEnd: number,
  ): void {
    if (this.isDraining) return;
    this.turn.read();
    if (sid === this.#ackSid) {
      this.#ack.handle(buffer, subjectStart, subjectEnd, replyStart, replyEnd, payloadStart, payloadEnd);
      return;
    }
    const isBehind = !this.#waiting.isEmpty && sid !== this.#pingSid;
    // A publish that waits for nothing is looked at for that where it is decoded.
    const mayBeProbe = isBehind || sid !== this.#publishSid;
    if (mayBeProbe && answerProbe(this, buffer, replyStart, replyEnd, payloadStart, payloadEnd)) return;
    const isTaken =
      !isBehind && this.#take(sid, buffer, replyStart, replyEnd, payloadStart, payloadEnd, true);
    if (isTaken) return;
    const waits = this.waitingBytes + this.store.pendingBytes;
    const { maxPendingBytes } = this.options;
    const isPublish = sid === this.#publishSid;
    if (isPublish && waits > maxPendingBytes) {
      // It is refused for that.
      this.#take(sid, buffer, replyStart, replyEnd, payloadStart, payloadEnd, false);
    } else if (waits <= maxPendingBytes * 2) {
      this.#waiting.add(
        sid,
        buffer,
        subjectStart,
        subjectEnd,
        replyStart,
        replyEnd,
        payloadStart,
        payloadEnd,
      );
    }
  }

  /** @returns false if it has to wait, which `mayWait` allows */
  #take(
    sid: number,
    buffer: Buffer,
    replyStart: number,
    replyEnd: number,
    payloadStart: number,
    payloadEnd: number,
    mayWait: boolean,
  ): boolean {
    if (sid === this.#publishSid)
      return this.#publish.handle(buffer, replyStart, replyEnd, payloadStart, payloadEnd, mayWait);
    this.#requests.get(sid)?.({
      reply: Buffer.from(buffer.subarray(replyStart, replyEnd)),
      payload: Buffer.from(buffer.subarray(payloadStart, payloadEnd)),
    });
    return true;
  }

  /** Takes what waits, as far as there is room by now. @param mayWait the rest goes on waiting, else it is refused */
  #goOn(mayWait: boolean): void {
    let isTaken = true;
    const take: LinkHandler['onMessage'] = (sid, buffer, _from, _to, reply, replyEnd, payload, end) => {
      isTaken = this.#take(sid, buffer, reply, replyEnd, payload, end, mayWait);
    };
    this.turn.run(() => {
      while (!this.#waiting.isEmpty) {
        this.#waiting.hand(take);
        if (!isTaken) break;
        this.#waiting.drop();
      }
      this.store.commit();
    });
  }

  get waitingBytes(): number {
    return this.#waiting.bytes;
  }

  onBatchEnd(): void {
    if (!this.#isStopped) this.turn.run(this.#commit);
  }

  onCommitted(batch: BatchId): void {
    if (this.#isStopped) return;
    this.turn.run(() => this.gate.release(batch, this.#gateOutput));
  }

  snapshot(sink: SnapshotSink): void {
    writeSnapshot(this, sink);
  }

  onFailed(error: Error): void {
    this.stop();
    this.#onFailed(error);
  }

  onFullChanged(reason: string | undefined): void {
    if (reason === undefined) this.log.info({}, 'the store has room again: messages are taken');
    else this.log.error({ reason }, 'the store is full: publishers get an error until there is room');
  }

  onRoom(): void {
    if (this.#waiting.isEmpty || this.#isGoingOn) return;
    this.#isGoingOn = true;
    this.#defer(() => {
      this.#isGoingOn = false;
      if (!this.isDraining) this.#goOn(true);
    });
  }

  readonly #gateOutput: GateOutput = {
    deliver: (channel) => {
      channel.usedAtMs = this.turn.nowMs;
      this.delivery.deliverChannel(channel);
    },
    answer: (answers, isMoreToCome) => this.turn.answer(answers, isMoreToCome),
  };

  #subscribe(request: Request): void {
    // Limits by age are exact when somebody looks.
    this.store.expire();
    handleSubscribe(this, request).catch((error: unknown) => {
      this.log.error({ err: error }, 'a bug: a subscription request failed');
    });
  }

  readonly #commit = (): void => this.store.commit();
}
