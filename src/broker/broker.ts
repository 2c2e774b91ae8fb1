import { guarded, guardedClock } from '../clock/guarded-clock.js';
import type { RecentGuids } from '../dedup/recent-guids.js';
import type { LinkHandler } from '../link/link-handler.js';
import type { Logger } from '../log/logger.js';
import type { RateLimitedLog } from '../log/rate-limited.js';
import type { BatchId, FormerSubjects, SnapshotSink, Store, StoreHost } from '../store/types/store.js';
import { bugOf, isBug } from '../util/bug.js';
import { inSlices } from '../util/turns.js';
import type { GateOutput } from './delivery/commit-gate.js';
import type { Delivery } from './delivery/delivery.js';
import type { Turn } from './delivery/turn.js';
import type { ProbeAnswerer } from './handlers/answer-probe.js';
import type { Backlog } from './handlers/backlog.js';
import type { BrokerOptions } from './handlers/broker-options.js';
import type { AckHandler } from './handlers/on-ack.js';
import type { PublishHandler } from './handlers/on-publish.js';
import { LinkSubscriptions } from './link-subscriptions.js';
import type { BadInputKind } from './state/bad-input.js';
import type { BrokerLink } from './state/broker-link.js';
import type { Channels } from './state/channels.js';
import type { Clients } from './state/clients.js';
import type { Counters } from './state/counters.js';
import type { EndedSubscriptions } from './state/ended-subscriptions.js';
import { isForeign } from './state/foreign-subject.js';
import type { ImportedAckInboxes } from './state/imported-ack-inboxes.js';
import type { Subscription } from './state/subscription.js';
import { type BrokerParts, wire } from './wire.js';

/** Messages that have waited are taken in turns of this size: heartbeats, acks and the renewal of the lease have theirs in between. */
const GO_ON_BYTES = 8 * 1024 * 1024;

type Wired = ReturnType<typeof wire>;

/** What others see of the store: how it is. What is in it changes through the broker alone. */
export type BrokerStore = Pick<
  Store,
  | 'kind'
  | 'storeId'
  | 'committed'
  | 'pendingBytes'
  | 'fullReason'
  | 'timeProblem'
  | 'timeLeadMs'
  | 'believed'
  | 'unreadable'
  | 'segmentProblems'
  | 'shortage'
  | 'nowNs'
  | 'touch'
>;

/**
 * The broker: takes the protocol's messages from the link, in the order in which they come, and hands each to its handler.
 * Whatever an answer says is durable before the answer leaves: see `CommitGate`.
 *
 * It only dispatches: which part may touch what is in `wire.ts`, and at the top of each part's file.
 */
export class Broker implements LinkHandler, StoreHost {
  readonly #parts: Wired;
  readonly #options: BrokerOptions;
  readonly #store: Store;
  readonly #log: Logger;
  readonly #turn: Turn;
  readonly #backlog: Backlog;
  readonly #probes: ProbeAnswerer;
  readonly #publish: PublishHandler;
  readonly #ack: AckHandler;
  readonly #imported: ImportedAckInboxes;
  readonly #onFailed: (error: Error) => void;
  readonly #defer: (callback: () => void) => void;
  readonly #nowMs: () => number;

  readonly #listening = new LinkSubscriptions();
  #isGoingOn = false;
  #isDraining = false;
  #isStopped = false;
  #hasFailed = false;

  /** @throws Bug if what the store has recovered is not as it must be: the store then writes nothing more */
  constructor(parts: BrokerParts) {
    const clock = guardedClock(parts.clock, this.#broken);
    const defer = (callback: () => void): void => parts.defer(guarded(callback, this.#broken));
    this.#options = parts.options;
    this.#store = parts.store;
    this.#log = parts.log;
    let wired: Wired;
    try {
      wired = wire({ ...parts, clock, defer }, this.#broken);
    } catch (error) {
      const bug = bugOf(error);
      parts.store.fail(bug);
      throw bug;
    }
    this.#parts = wired;
    this.#turn = wired.turn;
    this.#backlog = wired.backlog;
    this.#probes = wired.probes;
    this.#publish = wired.publish;
    this.#ack = wired.ack;
    this.#imported = wired.importedAckInboxes;
    this.#onFailed = parts.onFailed;
    this.#defer = defer;
    this.#nowMs = () => clock.monotonicMs();
    parts.store.attach(this);
    wired.expiry.start();
  }

  get channels(): Channels {
    return this.#parts.channels;
  }

  get clients(): Clients {
    return this.#parts.clients;
  }

  get store(): BrokerStore {
    return this.#store;
  }

  /** All that are online, by id. */
  get subscriptions(): ReadonlyMap<number, Subscription> {
    return this.#parts.subscriptions;
  }

  /** Those whose acks still count, though they have ended. */
  get ended(): Pick<EndedSubscriptions, 'all' | 'get'> {
    return this.#parts.ended;
  }

  get recentGuids(): Pick<RecentGuids, 'size'> {
    return this.#parts.recentGuids;
  }

  get counters(): Readonly<Counters> {
    return this.#parts.counters;
  }

  /** For the simulator, which looks at it and breaks it on purpose. */
  get delivery(): Pick<Delivery, 'deliver' | 'waiting'> {
    return this.#parts.delivery;
  }

  /** What came in from outside and was wrong. */
  get badInput(): Pick<RateLimitedLog<BadInputKind>, 'counts'> {
    return this.#parts.badInput;
  }

  /** Bytes of messages that wait until there is room for them. */
  get waitingBytes(): number {
    return this.#backlog.messages.bytes;
  }

  /** So many bytes may wait for the disk; beyond it publishers get an error. */
  get maxPendingBytes(): number {
    return this.#options.maxPendingBytes;
  }

  /** NATS takes less than it is sent: deliveries wait. */
  get isCongested(): boolean {
    return this.#turn.link?.isCongested ?? false;
  }

  /** It takes nothing more. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Ack inboxes of subscriptions that came along with an import. */
  get importedAckInboxes(): Pick<ImportedAckInboxes, 'has' | 'size'> {
    return this.#imported;
  }

  /** The subscriptions that it made on its newest link. An owner that keeps the link beyond the broker ends them. */
  get sids(): readonly number[] {
    return [...this.#listening.all, ...this.#imported.sids];
  }

  /**
   * Serves on this link. Resolves when the NATS server knows of all subscriptions, so that clients can come.
   *
   * @param adopted subscriptions that the link has already, by subject: their messages are this broker's from now on
   */
  async linkUp(link: BrokerLink, adopted?: ReadonlyMap<string, number>): Promise<void> {
    // A link may come while its owner is closing what it has.
    if (this.#isStopped) return;
    try {
      this.#listenOn(link, adopted);
    } catch (error) {
      this.#broken(error);
      return;
    }
    await link.flush();
    this.#deliverAll(link);
  }

  /** What came while there was no link, and what is overdue. There may be work for each of many thousand subscriptions. */
  #deliverAll(link: BrokerLink): void {
    const { delivery, subscriptions } = this.#parts;
    const slices = {
      nowMs: this.#nowMs,
      defer: this.#defer,
      run: (body: () => void) => this.#turn.run(body),
      goesOn: () => this.#turn.link === link && !this.#isDraining,
    };
    inSlices(this.channels.all(), (channel) => delivery.deliverChannel(channel), slices);
    inSlices(subscriptions.values(), (sub) => delivery.wake(sub), slices);
  }

  #listenOn(link: BrokerLink, adopted: ReadonlyMap<string, number> | undefined): void {
    this.#parts.gate.linkUp(link);
    this.#turn.linkUp(link);
    const { subjects } = this.#parts;
    this.#listening.begin(link, subjects, this.#store.storeId, this.#parts, adopted, this.#formerSubjects());
    this.#imported.linkUp(link);
  }

  /** Those of the server that the store was imported from, as long as a client is connected that knows them. */
  #formerSubjects(): FormerSubjects | undefined {
    const former = this.#store.recovered.formerSubjects;
    if (former === undefined) return undefined;
    for (const { record } of this.clients.all()) if (record.session <= former.lastSession) return former;
    return undefined;
  }

  /** What was to be sent is dropped with the link. The state stays; clients hear nothing until the next link. */
  linkDown(): void {
    try {
      this.#leaveLink();
    } catch (error) {
      this.#broken(error);
    }
  }

  #leaveLink(): void {
    this.#listening.end();
    this.#imported.linkDown();
    this.#backlog.messages.clear();
    this.#parts.gate.linkDown();
    this.#turn.linkDown();
    this.#parts.delivery.linkDown();
  }

  /** The link has drained. */
  linkDrained(): void {
    this.#parts.delivery.resumeWaiting();
  }

  /**
   * Takes nothing more, and delivers nothing more. What was taken before is still answered as it becomes durable; the successor
   * delivers it, and knows of all that went out before.
   */
  drain(): void {
    if (this.#isDraining) return;
    try {
      // Messages that would have to wait are refused: no broker would be there for them afterwards.
      this.#goOn(false);
      this.#parts.delivery.freeze();
      // Progress that was noted with the store by now goes with its last batch.
      this.#store.recordNotedProgress();
      this.#isDraining = true;
      this.#turn.close();
      this.#parts.wheel.stop();
    } catch (error) {
      this.#broken(error);
    }
  }

  /** Says nothing more to anybody. The store is its owner's to close. */
  stop(): void {
    this.#isDraining = this.#isStopped = true;
    this.#turn.close();
    this.#leaveLink();
    this.#parts.wheel.stop();
  }

  onMessage(
    subscription: number,
    buffer: Buffer,
    subjectStart: number,
    subjectEnd: number,
    replyStart: number,
    replyEnd: number,
    payloadStart: number,
    payloadEnd: number,
  ): void {
    if (this.#isDraining) return;
    try {
      this.#turn.read();
      const { ackSid, pingSid, publishSid, formerPublishSid } = this.#listening;
      const sid = subscription === formerPublishSid ? publishSid : subscription;
      if (sid === ackSid) {
        this.#ack.handle(buffer, subjectStart, subjectEnd, replyStart, replyEnd, payloadStart, payloadEnd);
        return;
      }
      const imported = sid === publishSid ? undefined : this.#imported.get(sid);
      if (imported !== undefined) {
        this.#ack.handleImported(imported, buffer, payloadStart, payloadEnd);
        return;
      }
      const waiting = this.#backlog.messages;
      const isBehind = !waiting.isEmpty && sid !== pingSid;
      // A publish that waits for nothing is looked at for that where it is decoded.
      const mayBeProbe = isBehind || sid !== publishSid;
      if (mayBeProbe && this.#probes.answer(buffer, replyStart, replyEnd, payloadStart, payloadEnd)) return;
      const isTaken =
        !isBehind && this.#take(sid, buffer, replyStart, replyEnd, payloadStart, payloadEnd, true);
      if (isTaken) return;
      if (sid === publishSid && this.#backlog.isFull) {
        // It is refused for that.
        this.#take(sid, buffer, replyStart, replyEnd, payloadStart, payloadEnd, false);
      } else if (!this.#backlog.isOverflowing) {
        waiting.add(sid, buffer, subjectStart, subjectEnd, replyStart, replyEnd, payloadStart, payloadEnd);
      }
    } catch (error) {
      this.#broken(error);
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
    if (sid === this.#listening.publishSid)
      return this.#publish.handle(buffer, replyStart, replyEnd, payloadStart, payloadEnd, mayWait);
    const end = isForeign(buffer, replyStart, replyEnd) ? replyStart : replyEnd;
    this.#listening.request(sid, () => ({
      reply: Buffer.from(buffer.subarray(replyStart, end)),
      payload: Buffer.from(buffer.subarray(payloadStart, payloadEnd)),
    }));
    return true;
  }

  /** Takes what waits, as far as there is room by now. @param mayWait the rest goes on waiting, else it is refused */
  #goOn(mayWait: boolean): void {
    const waiting = this.#backlog.messages;
    let isTaken = true;
    const take: LinkHandler['onMessage'] = (sid, buffer, _from, _to, reply, replyEnd, payload, end) => {
      isTaken = this.#take(sid, buffer, reply, replyEnd, payload, end, mayWait);
    };
    const enoughBytes = mayWait ? waiting.bytes - GO_ON_BYTES : 0;
    this.#turn.run(() => {
      while (!waiting.isEmpty) {
        waiting.hand(take);
        if (!isTaken) break;
        waiting.drop();
        if (waiting.bytes < enoughBytes) {
          this.onRoom();
          break;
        }
      }
      this.#store.commit();
    });
  }

  onBatchEnd(): void {
    if (!this.#isStopped) this.#turn.run(this.#commit);
  }

  onCommitted(batch: BatchId): void {
    if (this.#isStopped) return;
    this.#turn.run(() => this.#parts.gate.release(batch, this.#gateOutput));
  }

  snapshot(sink: SnapshotSink): void {
    this.#parts.snapshot(sink);
  }

  onFailed(error: Error): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    if (isBug(error)) this.#log.error({ err: error }, 'a bug: the broker says nothing more, and steps down');
    try {
      this.stop();
    } finally {
      this.#onFailed(error);
    }
  }

  /**
   * An exception that nothing expects. What the broker would say next may be wrong, so it says nothing more; what is not durable
   * by now is dropped, and its owner hears of it.
   */
  readonly #broken = (thrown: unknown): void => {
    // What comes out of a broker that has been stopped is most often that its store is closed.
    if (this.#hasFailed || (this.#isStopped && !isBug(thrown))) return;
    const bug = bugOf(thrown);
    try {
      this.#store.fail(bug);
    } finally {
      this.onFailed(bug);
    }
  };

  onFullChanged(reason: string | undefined): void {
    if (reason === undefined) this.#log.info({}, 'the store has room again: messages are taken');
    else this.#log.error({ reason }, 'the store is full: publishers get an error until there is room');
  }

  onRoom(): void {
    if (this.#backlog.messages.isEmpty || this.#isGoingOn) return;
    this.#isGoingOn = true;
    this.#defer(() => {
      this.#isGoingOn = false;
      if (!this.#isDraining) this.#goOn(true);
    });
  }

  readonly #gateOutput: GateOutput = {
    deliver: (channel) => {
      this.#parts.inactivity.used(channel, this.#turn.nowMs);
      this.#parts.delivery.deliverChannel(channel);
    },
    answer: (answers, isMoreToCome) => this.#turn.answer(answers, isMoreToCome),
  };

  readonly #commit = (): void => this.#store.commit();
}
