import { ackSubject, publishSubject } from '../../broker/broker.js';
import { RELEASED } from '../../lease/lease.js';
import { STUCK_LEASES } from '../../lease/renewal-rules.js';
import type { StanSubjects } from '../../protocol/stan-subjects.js';
import type { Trouble } from '../report/member-problem.js';
import { tellDispute } from '../report/takeover-log.js';
import type { PlaceLink } from '../talk/nats-transport.js';
import type { Opportunity, ReignWatch } from '../watch/lease-watch.js';
import type { MemberParts } from './member-parts.js';
import type { Presence } from './presence.js';
import { Listening } from './standby-buffer.js';
import type { StoreCheck } from './store-check.js';

export interface StandbyOptions {
  parts: MemberParts;
  subjects: StanSubjects;
  watch: ReignWatch;
  presence: Presence;
  store: StoreCheck;
  trouble: Trouble;
}

/** What a standby does while it waits: it looks at the reign, and listens to publishers when it may be next. */
export class Standby {
  readonly #options: StandbyOptions;
  #listening: Listening | undefined;
  /** Whoever reigns in this epoch has said that it leaves, and does: in its own time, and with the reign in its name meanwhile. */
  #offeredEpoch = 0;
  #looksFresh = false;
  /** Begin of the look at the store that has not ended. */
  #lookingSinceMs: number | undefined;

  constructor(options: StandbyOptions) {
    this.#options = options;
  }

  /** Whoever takes what comes in on the link: undefined if nobody does. */
  get listener(): Listening | undefined {
    return this.#listening;
  }

  /** Why it cannot look: a mount that hangs throws nothing. */
  get hang(): string | undefined {
    const { clock, options, dir } = this.#options.parts;
    const silentMs = clock.monotonicMs() - (this.#lookingSinceMs ?? Number.POSITIVE_INFINITY);
    if (silentMs <= options.leaseMs * STUCK_LEASES) return undefined;
    return `the store in ${dir} has not answered for ${Math.round(silentMs)} ms`;
  }

  /** @returns why the reign may be taken, if it may */
  async look(): Promise<Opportunity | undefined> {
    const { parts, watch, store, trouble } = this.#options;
    const { clock, log, reign, holder, isDead, place, options } = parts;
    const begunMs = clock.monotonicMs();
    const isFresh = this.#looksFresh || watch.isSuspicious(begunMs);
    this.#looksFresh = false;
    watch.looks();
    this.#lookingSinceMs = begunMs;
    try {
      const state = isFresh ? await reign.readFresh(holder) : await reign.read();
      const gone = state.holder !== RELEASED && state.holder !== holder && (await isDead(state.holder));
      watch.saw(state, gone, begunMs, clock.monotonicMs());
    } finally {
      this.#lookingSinceMs = undefined;
    }
    const nowMs = clock.monotonicMs();
    const dispute = watch.dispute.news(nowMs);
    if (dispute !== undefined) tellDispute(log, { ...dispute, group: options.name, nats: place.server });
    await store.readStoreId();
    const ahead = watch.aheadOfStore;
    trouble.look = ahead && store.astray(watch.state!, ahead);
    if (watch.signMs !== undefined) trouble.served(watch.signMs);
    const isOffered = this.#offeredEpoch > 0 && (watch.state?.epoch ?? 0) <= this.#offeredEpoch;
    if (isOffered || watch.isSuspicious(nowMs)) this.#listen();
    else this.stopListening();
    // Who cannot serve lets others try.
    if (place.link === undefined) {
      trouble.look = 'no connection to NATS';
      return undefined;
    }
    const problem = parts.serviceProblem?.();
    // What was not heard in a former reign may be heard by now: only another one can show it.
    if (problem?.isOwn === true && problem.kind !== 'not heard') return undefined;
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

  /** The reign is free: the next look asks the file server. */
  lookFresh(): void {
    this.#looksFresh = true;
  }

  /** The active is about to leave: says that it listens, once it does. */
  async answerOffer(epoch: number): Promise<void> {
    const { parts, presence, watch } = this.#options;
    if (presence.role !== 'standby' || presence.isStopping || watch.aheadOfStore !== undefined) return;
    this.#offeredEpoch = epoch;
    this.#listen();
    const listening = this.#listening;
    if (listening === undefined) return;
    await listening.begun.catch(() => {});
    if (this.#listening === listening) presence.say({ kind: 'ready', member: parts.holder, epoch });
  }

  #listen(): void {
    const { parts, subjects, store } = this.#options;
    const { place, clock } = parts;
    if (place.link === undefined || this.#listening?.link === place.link || store.storeId === '') return;
    // All of these can be taken twice: publishes and connections are recognised, an acknowledgement does no harm.
    const heard = [publishSubject(subjects), ackSubject(store.storeId), subjects.discover];
    this.#listening = new Listening(place.link, heard, clock);
  }

  stopListening(): void {
    this.#listening?.end();
    this.#listening = undefined;
  }

  /** What it has heard on this link belongs to the broker now. */
  takeListening(link: PlaceLink): Listening | undefined {
    const listening = this.#listening?.link === link ? this.#listening : undefined;
    this.#listening = undefined;
    return listening;
  }

  linkDown(): void {
    this.#listening = undefined;
  }
}
