import type { Broker } from '../../broker/broker.js';
import type { FsCalls } from '../../files/fs-calls.js';
import { StoreError } from '../../files/store-error.js';
import { DROP_ALL } from '../../link/link-handler.js';
import { must } from '../../util/assert.js';
import { bugOf, isBug } from '../../util/bug.js';
import { countsOf } from '../../util/counts.js';
import type { MemberProblem } from '../report/member-problem.js';
import type { TakeoverHistory } from '../report/takeover-history.js';
import { logTakeover } from '../report/takeover-log.js';
import type { TransportLink } from '../talk/nats-transport.js';
import { TAKEOVER_REASONS, type TakeoverTimeline } from '../talk/takeover-timeline.js';
import type { LeaseWatch } from '../watch/lease-watch.js';
import type { MemberParts } from './member-parts.js';
import type { Pause } from './pause.js';
import type { Presence } from './presence.js';
import type { Standby } from './standby.js';
import type { StoreCheck } from './store-check.js';
import { type Opening, timelineOf } from './takeover-course.js';
import type { Term } from './term.js';

/** How many leases the successor has to take the lease after a handover. */
const HANDOVER_LEASES = 3;
/** Time before the next try after a failed term; it doubles up to the maximum. */
const FIRST_PENALTY_MS = 2_000;
const MAX_PENALTY_MS = 60_000;
/** Time before the next try without room: room may return at any moment, and nothing else is wrong. */
const NO_ROOM_PENALTY_MS = 2_000;
/** How long standbys have to report that their buffers are subscribed, or this many leases if that is longer. The active serves meanwhile. */
const READY_MS = 250;
const READY_LEASES = 0.4;

/** How a term ends: handed over, lost to another member, or broken off because it could not go on. */
export const TERM_ENDS = ['handover', 'lost', 'failed'] as const;

export interface ActiveOptions {
  parts: MemberParts;
  watch: LeaseWatch;
  presence: Presence;
  pause: Pause;
  standby: Standby;
  store: StoreCheck;
  problem: MemberProblem;
  history: TakeoverHistory;
  /** Receives an unexpected exception of work that nothing waits for. */
  onBroken: (thrown: unknown) => void;
}

/** A member with the lease: it recovers the store, serves, and steps down or hands over. */
export class Active {
  /** How many terms it has served in. */
  takeovers = 0;
  readonly takeoversBy = countsOf(TAKEOVER_REASONS);
  readonly termsEnded = countsOf(TERM_ENDS);
  lastTakeover: TakeoverTimeline | undefined;
  readonly #options: ActiveOptions;
  #term: Term | undefined;
  /** The calls of the last term's recovery. The term itself is not kept in memory, with its store and broker. */
  #formerCalls: FsCalls | undefined;
  /** The link of the broker. */
  #servedLink: TransportLink | undefined;
  #notBeforeMs = 0;
  #penaltyMs = FIRST_PENALTY_MS;
  #onReady: ((standby: string) => void) | undefined;

  constructor(options: ActiveOptions) {
    this.#options = options;
  }

  /** The present term, from the rename that won it. */
  get term(): Term | undefined {
    return this.#term;
  }

  /**
   * Whether it may take over. After a handover or a failed term it lets others try first. A member whose last recovery still hangs would
   * hang again, and each time one thread less would be left for reading and writing files.
   */
  mayTakeOver(nowMs: number): boolean {
    return nowMs >= this.#notBeforeMs && this.#formerCalls?.oldest === undefined;
  }

  /** Why it cannot be active: a call of its last recovery to the file system has still not ended. */
  get hang(): string | undefined {
    const call = this.#formerCalls?.oldest;
    if (call === undefined || call.silentMs < this.#options.parts.options.leaseMs) return undefined;
    const { operation, path, silentMs } = call;
    return `recovering the store hung: ${operation} of ${path} has not ended for ${Math.round(silentMs)} ms, and no term is taken before it has`;
  }

  /** Runs a term, from the rename that won it to its end. */
  async run(term: Term, opening: Opening): Promise<void> {
    const { parts, watch, presence } = this.#options;
    const { holder, clock } = parts;
    this.#term = term;
    let hasServed = false;
    try {
      if (presence.isStopping) {
        // It was asked to stop while it took the lease. There was no term to end yet, so it ends it here.
        await this.#give(term);
        return;
      }
      presence.become('recovering');
      hasServed = await this.#begin(term, opening);
      await this.#end(term);
    } catch (error) {
      await this.#recoveryFailed(term, error as Error);
    } finally {
      this.#leaveLink(term);
      this.#term = undefined;
      this.#formerCalls = term.calls;
      watch.held({ epoch: term.epoch, counter: term.renewer.counter });
      if (hasServed) watch.sawServe(holder, clock.monotonicMs());
      if (!presence.isStopping) presence.become('standby');
    }
  }

  /** Recovers the store, and serves. @returns false if the term has ended before it served. @throws StoreError */
  async #begin(term: Term, opening: Opening): Promise<boolean> {
    const { parts, watch, store, presence, problem } = this.#options;
    const { clock, transport, options } = parts;
    const opened = await term.open();
    if (opened === undefined) return false;
    const { recoveryMs, fenceMs } = opened;
    const recoveredMs = clock.monotonicMs();
    const service = must(term.service, 'a term that is open has a service');
    // The term may have made the store, or carried it over.
    if (await store.readIdentity()) watch.forgetPeers();
    if (transport.link === undefined) term.linkDown('it was lost during the takeover');
    // Links may come and go meanwhile.
    let heard = 0;
    while (!term.isEnded && transport.link !== undefined && transport.link !== this.#servedLink) {
      heard += await this.#serve(transport.link);
    }
    if (term.isEnded) return false;
    this.#penaltyMs = FIRST_PENALTY_MS;
    const servedMs = clock.monotonicMs();
    const course = {
      epoch: term.epoch,
      node: options.nodeName,
      recoveryMs,
      fenceMs,
      servingMs: servedMs - recoveredMs,
      heard,
      servedMs,
      atWallMs: Number(clock.wallNs() / 1_000_000n),
    };
    const timeline = timelineOf(opening, course, service);
    this.#keep(timeline);
    presence.become('active');
    problem.served(servedMs);
    logTakeover(parts.log, timeline, transport.server);
    return true;
  }

  #keep(timeline: TakeoverTimeline): void {
    this.takeovers++;
    this.takeoversBy[timeline.reasonKind]++;
    this.lastTakeover = timeline;
    this.#options.history.add(timeline);
  }

  /** Waits for the end of the term, and hands over or breaks off. */
  async #end(term: Term): Promise<void> {
    const { kind, why } = await term.ended;
    this.termsEnded[kind === 'cut off' ? 'failed' : kind]++;
    const { epoch } = term;
    this.#options.parts.log.warn({ epoch, reason: why }, `the term of epoch ${epoch} ends: ${why}`);
    if (kind === 'handover') await this.#give(term);
    else await term.breakOff(kind !== 'lost');
    if (kind === 'failed') this.#punish();
  }

  async #recoveryFailed(term: Term, error: Error): Promise<void> {
    const { parts, problem } = this.#options;
    const { epoch } = term;
    if (isBug(error)) parts.log.error({ epoch, err: bugOf(error) }, 'a bug: the term cannot go on');
    else parts.log.error({ epoch, reason: error.message }, 'the store could not be recovered');
    const code = error instanceof StoreError ? error.code : undefined;
    const isLost = code === 'lost';
    this.termsEnded[isLost ? 'lost' : 'failed']++;
    await term.breakOff(!isLost);
    problem.cannotTakeOver(error.message);
    if (code === 'no-space') this.#pauseFor(NO_ROOM_PENALTY_MS);
    else this.#punish();
  }

  /** Lets the standbys fill their buffers, then hands over: clients notice nothing but a short wait. */
  async #give(term: Term): Promise<void> {
    const { parts, watch, presence, pause } = this.#options;
    const { clock, transport, holder, log, options } = parts;
    const begunMs = clock.monotonicMs();
    const { service, epoch } = term;
    const deaf = new Set(watch.standbys(begunMs));
    if (service !== undefined && deaf.size > 0) {
      await service.checkpoint();
      const ready = new Promise<void>((resolve) => {
        this.#onReady = (standby) => {
          deaf.delete(standby);
          if (deaf.size === 0) resolve();
        };
      });
      presence.say({ kind: 'offer', member: holder, epoch });
      await Promise.race([ready, pause.pass(Math.max(READY_MS, options.leaseMs * READY_LEASES))]);
      this.#onReady = undefined;
    }
    const isGiven = await term.handOver(transport.link);
    if (isGiven) presence.say({ kind: 'released', member: holder, epoch });
    this.#pauseFor(options.leaseMs * HANDOVER_LEASES);
    log.info({ epoch, tookMs: Math.round(clock.monotonicMs() - begunMs) }, 'the lease has been given back');
  }

  /** Notes that a standby fills its buffer. */
  standbyIsReady(standby: string, epoch: number): void {
    if (epoch === this.#term?.epoch) this.#onReady?.(standby);
  }

  #punish(): void {
    this.#pauseFor(this.#penaltyMs);
    this.#penaltyMs = Math.min(MAX_PENALTY_MS, this.#penaltyMs * 2);
  }

  /** Lets others try for a while. */
  #pauseFor(ms: number): void {
    this.#notBeforeMs = this.#options.parts.clock.monotonicMs() + ms;
  }

  /** The broker that serves on the present link; undefined while none does. */
  get servingBroker(): Broker | undefined {
    const { transport } = this.#options.parts;
    const isServing = this.#options.presence.role === 'active' && transport.link !== undefined;
    return isServing && transport.link === this.#servedLink ? this.#term?.service?.broker : undefined;
  }

  linkUp(link: TransportLink): void {
    this.#term?.linkUp();
    if (this.#options.presence.role === 'active') this.#serve(link).catch(this.#options.onBroken);
  }

  linkDown(reason: string): void {
    this.#servedLink = undefined;
    this.#term?.service?.broker.linkDown();
    this.#term?.linkDown(reason);
  }

  /** Puts the broker on a link, and gives it the kept messages first. @returns how many these were */
  async #serve(link: TransportLink): Promise<number> {
    const term = this.#term;
    const broker = term?.service?.broker;
    if (term === undefined || broker === undefined || term.isEnded) return 0;
    const buffer = this.#options.standby.takeBuffer(link);
    this.#servedLink = link;
    link.handOverTo(broker);
    const up = broker.linkUp(link, buffer?.sids);
    const count = buffer?.replay(broker) ?? 0;
    // If the link goes down meanwhile, the next link makes the next try.
    await up.catch(() => {});
    return count;
  }

  #leaveLink({ service }: Term): void {
    const { link } = this.#options.parts.transport;
    if (link !== undefined && link === this.#servedLink) {
      link.handOverTo(DROP_ALL);
      for (const sid of service?.broker.sids ?? []) link.unsubscribe(sid);
    }
    this.#servedLink = undefined;
  }
}
