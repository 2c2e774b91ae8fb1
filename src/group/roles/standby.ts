import { ackSubject, publishSubject } from '../../broker/served-subjects.js';
import { RELEASED } from '../../lease/lease-state.js';
import { STUCK_LEASES } from '../../lease/renewal-rules.js';
import type { StanSubjects } from '../../protocol/stan-subjects.js';
import { must } from '../../util/assert.js';
import type { MemberProblem } from '../report/member-problem.js';
import { logDispute } from '../report/takeover-log.js';
import type { TransportLink } from '../talk/nats-transport.js';
import type { LeaseWatch, Opportunity } from '../watch/lease-watch.js';
import { ForeignHolder } from './foreign-holder.js';
import type { MemberParts } from './member-parts.js';
import type { Presence } from './presence.js';
import { StandbyBuffer } from './standby-buffer.js';
import type { StoreCheck } from './store-check.js';

export interface StandbyOptions {
  parts: MemberParts;
  subjects: StanSubjects;
  watch: LeaseWatch;
  presence: Presence;
  store: StoreCheck;
  problem: MemberProblem;
}

/** A standby while it waits: it looks at the lease, and fills its buffer when it may be next. */
export class Standby {
  readonly #options: StandbyOptions;
  #buffer: StandbyBuffer | undefined;
  /** The active of this epoch has said that it leaves. It holds the lease until it has. */
  #offeredEpoch = 0;
  #looksFresh = false;
  readonly #foreign: ForeignHolder;
  /** The beginning of a look at the store that has not ended. */
  #lookingSinceMs: number | undefined;

  constructor(options: StandbyOptions) {
    this.#options = options;
    this.#foreign = new ForeignHolder(options.parts);
  }

  /** Whether it hears what clients send, since it may be next. */
  get isListening(): boolean {
    return this.#buffer !== undefined;
  }

  /** Another group has the store, for people; undefined while none has. */
  get otherGroup(): string | undefined {
    return this.#foreign.otherGroup;
  }

  /** Why it cannot look at the store: a mount that hangs throws nothing. */
  get hang(): string | undefined {
    const { clock, options, dir } = this.#options.parts;
    const silentMs = clock.monotonicMs() - (this.#lookingSinceMs ?? Number.POSITIVE_INFINITY);
    if (silentMs <= options.leaseMs * STUCK_LEASES) return undefined;
    return `the store in ${dir} has not answered for ${Math.round(silentMs)} ms`;
  }

  /** Looks at the lease. @returns why the lease may be taken, if it may */
  async look(): Promise<Opportunity | undefined> {
    const { parts, watch, store, problem } = this.#options;
    const { clock, log, lease, holder, isDead, transport, options } = parts;
    const begunMs = clock.monotonicMs();
    const isFresh = this.#looksFresh || watch.isSuspicious(begunMs);
    this.#looksFresh = false;
    watch.looks();
    this.#lookingSinceMs = begunMs;
    try {
      const state = isFresh ? await lease.readFresh(holder) : await lease.read();
      const gone = state.holder !== RELEASED && state.holder !== holder && (await isDead(state.holder));
      watch.saw(state, gone, begunMs, clock.monotonicMs());
    } finally {
      this.#lookingSinceMs = undefined;
    }
    const nowMs = clock.monotonicMs();
    const dispute = watch.dispute.news(nowMs);
    if (dispute !== undefined) logDispute(log, { ...dispute, group: options.name, nats: transport.server });
    if (await store.readIdentity()) watch.forgetPeers();
    const ahead = watch.aheadOfStore;
    problem.look = ahead && store.astray(must(watch.state, 'a look has seen the lease'), ahead);
    problem.look ??= this.#foreign.look(watch.foreign);
    if (watch.signMs !== undefined) problem.served(watch.signMs);
    const isOffered = this.#offeredEpoch > 0 && (watch.state?.epoch ?? 0) <= this.#offeredEpoch;
    if (isOffered || watch.isSuspicious(nowMs)) this.#listen();
    else this.dropBuffer();
    // A member that cannot serve lets others try.
    if (transport.link === undefined) {
      problem.look = 'no connection to NATS';
      return undefined;
    }
    const inTheWay = parts.serviceProblem?.();
    // An active that was not heard in a former term may be heard by now: only another term can show it.
    if (inTheWay?.isOwn === true && inTheWay.kind !== 'not heard') return undefined;
    const opportunity = watch.judge(nowMs);
    if (opportunity === undefined) return undefined;
    this.#lookingSinceMs = nowMs;
    try {
      await store.look();
    } finally {
      this.#lookingSinceMs = undefined;
    }
    return store.replaced === undefined ? opportunity : undefined;
  }

  /** Notes that the lease is free: the next look asks the file server. */
  lookFresh(): void {
    this.#looksFresh = true;
  }

  /** Notes that the active is about to leave, and reports when the buffer has its subscriptions. */
  async answerOffer(epoch: number): Promise<void> {
    const { parts, presence, watch } = this.#options;
    if (presence.role !== 'standby' || presence.isStopping || watch.aheadOfStore !== undefined) return;
    this.#offeredEpoch = epoch;
    this.#listen();
    const buffer = this.#buffer;
    if (buffer === undefined) return;
    await buffer.begun.catch(() => {});
    if (this.#buffer === buffer) presence.say({ kind: 'ready', member: parts.holder, epoch });
  }

  #listen(): void {
    const { parts, subjects, store } = this.#options;
    const { transport, clock } = parts;
    if (transport.link === undefined || this.#buffer?.link === transport.link || store.storeId === '') return;
    // All of these can be handled twice: publishes and connections are recognized, and an acknowledgement does no harm.
    const heard = [publishSubject(subjects), ackSubject(store.storeId), subjects.discover];
    this.#buffer = new StandbyBuffer(transport.link, heard, clock);
  }

  dropBuffer(): void {
    this.#buffer?.end();
    this.#buffer = undefined;
  }

  /** Gives the kept messages of this link to the broker. */
  takeBuffer(link: TransportLink): StandbyBuffer | undefined {
    const buffer = this.#buffer?.link === link ? this.#buffer : undefined;
    this.#buffer = undefined;
    return buffer;
  }

  linkDown(): void {
    this.#buffer = undefined;
  }
}
