import { ackSubject, type Broker, publishSubject } from '../broker/broker.js';
import type { Timer } from '../clock/clock.js';
import type { StanSubjects } from '../protocol/subjects.js';
import { StoreError } from '../store/errors.js';
import { parseHolder } from '../store/process-identity.js';
import { RELEASED, type ReignState, sameReign } from '../store/reign.js';
import { Listening } from './listening.js';
import type { MemberParts } from './member-parts.js';
import {
  decodeGroupMessage,
  encodeGroupMessage,
  type GroupMessage,
  type Heartbeat,
  MEMBER_ROLES,
  type MemberRole,
} from './messages.js';
import type { PlaceHandler, PlaceLink } from './nats-place.js';
import { STUCK_LEASES } from './renewal-rules.js';
import { type Opening, storyOf, TAKEOVER_REASONS, type TakeoverStory } from './story.js';
import { TakeoverHistory } from './takeover-history.js';
import { tellDecision, tellOther, tellTakeover } from './tell.js';
import { Tenure } from './tenure.js';
import { type Opportunity, ReignWatch } from './watch.js';

/** Of the lease. */
const HEARTBEATS_PER_LEASE = 3;
const LOOKS_PER_LEASE = 12;
const MIN_LOOK_MS = 20;
const MAX_LOOK_MS = 250;
/** How long a candidate waits for another one that has the lock of an epoch, before it goes one epoch on. In leases. */
const LOCK_LEASES = 0.5;
/** After a handover: the successor has so long to take what was given. In leases. */
const HANDOVER_LEASES = 3;
/** Who is not heard for so many leases is not counted as there. */
const HEARD_LEASES = 3;
/** After a reign that failed by itself, before the next try: it doubles up to the longest. */
const FIRST_PENALTY_MS = 2_000;
const MAX_PENALTY_MS = 60_000;
/** Room comes back at any moment, and nothing else is wrong. */
const NO_ROOM_PENALTY_MS = 2_000;
/** A standby has so long to say that it listens. */
const READY_MS = 250;
/** A store that another member has just made shows itself on every mount within this time. */
const NEW_STORE_MS = 2_000;
const NEW_STORE_LOOK_MS = 50;
/** The same trouble is logged once in this time. */
const TROUBLE_MS = 10_000;

/** How a reign ends: given away, lost to another, or broken off since it could not go on. */
export const REIGN_ENDS = ['handover', 'lost', 'failed'] as const;

function countsOf<T extends string>(names: readonly T[]): Record<T, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<T, number>;
}

/**
 * One broker of a group: watches the reign, takes it over when it may, serves while it holds it, and watches again. It never
 * trusts a clock for safety: see `ReignKeeper.fence`.
 */
export class Member {
  readonly handler: PlaceHandler;
  /** Called when the role changes, or what it is good for. */
  onChanged: (() => void) | undefined;
  /** Why it cannot be part of the group, if that turns out after the start. Called once; the member has stopped. */
  onFatal: ((error: Error) => void) | undefined;
  /** Reigns that it began to serve in. */
  takeovers = 0;
  readonly takeoversBy = countsOf(TAKEOVER_REASONS);
  readonly reignsEnded = countsOf(REIGN_ENDS);
  /** Its own. */
  lastTakeover: TakeoverStory | undefined;
  readonly history = new TakeoverHistory();

  readonly #parts: MemberParts;
  readonly #subjects: StanSubjects;
  readonly #watch: ReignWatch;
  #role: MemberRole = 'starting';
  #roleSinceMs: number;
  #storeId = '';
  #epoch = 0;
  #tenure: Tenure | undefined;
  #listening: Listening | undefined;
  /** The link that the broker is on. */
  #servedLink: PlaceLink | undefined;
  #looksFresh = false;
  #heartbeatTimer: Timer | undefined;
  #wake: (() => void) | undefined;
  #running: Promise<void> | undefined;
  #isStopping = false;
  #notBeforeMs = 0;
  #penaltyMs = FIRST_PENALTY_MS;
  /** Who has another store than this member. */
  #stranger: Heartbeat | undefined;
  #onReady: (() => void) | undefined;
  #trouble: string | undefined;
  /** Begin of the look at the store that has not ended. */
  #lookingSinceMs: number | undefined;
  #troubleLoggedMs = Number.NEGATIVE_INFINITY;
  #heartbeatsUnheard = 0;

  constructor(parts: MemberParts, subjects: StanSubjects) {
    this.#parts = parts;
    this.#subjects = subjects;
    const nowMs = parts.clock.monotonicMs();
    this.#watch = new ReignWatch(parts.holder, parts.options.leaseMs, nowMs);
    this.#roleSinceMs = nowMs;
    this.handler = new Handler(this);
  }

  get role(): MemberRole {
    return this.#role;
  }

  get roleForMs(): number {
    return this.#parts.clock.monotonicMs() - this.#roleSinceMs;
  }

  /** Of its own reign, else the newest that it knows of. */
  get epoch(): number {
    return Math.max(this.#tenure?.epoch ?? 0, this.#watch.state?.epoch ?? 0, this.#epoch);
  }

  get storeId(): string {
    return this.#storeId;
  }

  get broker(): Broker | undefined {
    return this.#tenure?.service?.broker;
  }

  /** Milliseconds since the reign was renewed; undefined while it has none. */
  get leaseAgeMs(): number | undefined {
    const tenure = this.#tenure;
    return tenure && this.#parts.clock.monotonicMs() - tenure.keeper.renewedMs;
  }

  get renewalMs(): number | undefined {
    return this.#tenure?.keeper.renewalMs;
  }

  /** What keeps it from doing its part, for people. */
  get trouble(): string | undefined {
    const { clock, options, dir } = this.#parts;
    const silentMs = clock.monotonicMs() - (this.#lookingSinceMs ?? Number.POSITIVE_INFINITY);
    // A mount that hangs throws nothing.
    if (silentMs > options.leaseMs * STUCK_LEASES)
      return `the store in ${dir} has not answered for ${Math.round(silentMs)} ms`;
    return this.#trouble;
  }

  /** How many members are in each role: this one, and those that were heard within the last leases. */
  rolesHeard(): Readonly<Record<MemberRole, number>> {
    const { clock, options } = this.#parts;
    const counts = countsOf(MEMBER_ROLES);
    counts[this.#role]++;
    const withinMs = options.leaseMs * HEARD_LEASES;
    for (const { role } of this.#watch.heardWithin(withinMs, clock.monotonicMs())) {
      // Another version may have roles that this one does not know.
      if (role in counts) counts[role]++;
    }
    return counts;
  }

  /** What other members said last. */
  get peers(): Heartbeat[] {
    return [...this.#watch.peers.values()].map(({ heartbeat }) => heartbeat);
  }

  /**
   * Joins the group: listens whether it has another store, then watches. The place is connected.
   *
   * @throws Error if this member does not belong to the group
   */
  async start(): Promise<void> {
    const { reign, holder, options } = this.#parts;
    await this.#readStoreId();
    await this.#pass(options.leaseMs / 2);
    const mismatch = await this.#confirmMismatch();
    if (mismatch !== undefined) throw mismatch;
    await reign.create(holder);
    const { epoch } = await reign.read();
    await this.#parts.testStore(epoch).catch((error: unknown) => {
      // It can wait and watch. There may be room by the time it has to take over.
      if (!(error instanceof StoreError && error.code === 'no-space')) throw error;
      this.#hasTrouble(error.message);
    });
    this.#become('standby');
    this.#beat();
    this.#running = this.#run();
  }

  /** Hands over if it reigns, and leaves. */
  async stop(): Promise<void> {
    if (this.#isStopping) return this.#running;
    this.#isStopping = true;
    this.#wake?.();
    if (this.#tenure !== undefined) this.#tenure.end({ kind: 'handover', why: 'it is being stopped' });
    await this.#running;
    this.#heartbeatTimer?.cancel();
    this.#stopListening();
    this.#become('stopping');
    this.#say({ kind: 'leaving', member: this.#parts.holder });
  }

  /** Gives the reign to a standby. @returns why not, if it cannot */
  handOver(): string | undefined {
    if (this.#tenure === undefined || this.#role !== 'active') return 'this member is not active';
    if (!this.#watch.hasStandby(this.#parts.clock.monotonicMs())) return 'there is no standby';
    this.#tenure.end({ kind: 'handover', why: 'somebody asked for it' });
    return undefined;
  }

  async #run(): Promise<void> {
    const { clock, options } = this.#parts;
    const lookMs = Math.min(MAX_LOOK_MS, Math.max(MIN_LOOK_MS, options.leaseMs / LOOKS_PER_LEASE));
    while (!this.#isStopping) {
      try {
        const opportunity = await this.#look();
        const mismatch = await this.#confirmMismatch();
        if (mismatch !== undefined) return this.#leave(mismatch);
        if (this.#watch.isAstray(clock.monotonicMs()))
          return this.#leave(new Error(this.#astray(this.#watch.aheadOfStore!)));
        if (opportunity !== undefined && clock.monotonicMs() >= this.#notBeforeMs && !this.#isStopping) {
          await this.#contend(this.#watch.state!, opportunity);
        }
      } catch (error) {
        this.#hasTrouble(`the store in ${this.#parts.dir} cannot be watched: ${(error as Error).message}`);
      }
      this.#lookingSinceMs = undefined;
      if (!this.#isStopping) await this.#pass(lookMs);
    }
  }

  #leave(error: Error): void {
    this.#isStopping = true;
    this.#heartbeatTimer?.cancel();
    this.#stopListening();
    this.#become('stopping');
    this.onFatal?.(error);
  }

  /** @returns why the reign may be taken, if it may */
  async #look(): Promise<Opportunity | undefined> {
    const { clock, reign, holder, isDead, place } = this.#parts;
    const watch = this.#watch;
    const begunMs = clock.monotonicMs();
    this.#lookingSinceMs = begunMs;
    const isFresh = this.#looksFresh || watch.isSuspicious(begunMs);
    this.#looksFresh = false;
    watch.looks();
    const state = isFresh ? await reign.readFresh(holder) : await reign.read();
    const gone = state.holder !== RELEASED && state.holder !== holder && (await isDead(state.holder));
    this.#lookingSinceMs = undefined;
    const nowMs = clock.monotonicMs();
    watch.saw(state, gone, begunMs, nowMs);
    await this.#readStoreId();
    const ahead = watch.aheadOfStore;
    this.#trouble = ahead && this.#astray(ahead);
    if (watch.isSuspicious(nowMs)) this.#listen();
    else this.#stopListening();
    // Who cannot serve lets others try.
    if (place.link === undefined) {
      this.#trouble = 'no connection to NATS';
      return undefined;
    }
    return watch.judge(nowMs);
  }

  async #contend(known: ReignState, opportunity: Opportunity): Promise<void> {
    const { clock, log, reign, lock, holder, options } = this.#parts;
    const { why } = opportunity;
    const { signMs, active } = this.#watch;
    const decidedMs = clock.monotonicMs();
    this.#epoch = Math.max(this.#epoch, known.epoch) + 1;
    const epoch = this.#epoch;
    let tenure: Tenure | undefined;
    const unlock = await lock(epoch, (error) =>
      tenure?.end({
        kind: 'failed',
        why: `the lock of epoch ${epoch} is no longer its own: ${error.message}`,
      }),
    );
    if (unlock === undefined) {
      // Another candidate is at it. Should it have died there, the next epoch has a lock of its own.
      if (!this.#isStopping) await this.#pass(options.leaseMs * LOCK_LEASES);
      return;
    }
    try {
      const now = await reign.readFresh(holder);
      if (this.#isStopping) return;
      if (!sameReign(now, known)) {
        log.debug({ epoch, reason: why }, 'no takeover: the reign has changed since it was decided');
        return;
      }
      const takenMs = clock.monotonicMs();
      let state = await reign.takeOver(known, epoch, holder);
      if (state === 'lost') {
        // It may have been done, its answer lost, and asked for again. Nobody else makes this name.
        const wanted = { epoch, counter: 0, holder };
        if (!sameReign(await reign.readFresh(holder), wanted)) return;
        state = wanted;
      }
      const from = active === undefined ? null : (parseHolder(active)?.nodeName ?? null);
      const silentMs = signMs === undefined ? undefined : decidedMs - signMs;
      tellDecision(log, { epoch, from, reason: why, silentMs });
      tenure = new Tenure(this.#parts, state, takenMs);
      const { kind: reasonKind } = opportunity;
      const opening = { reason: why, reasonKind, from, signMs, decidedMs, takenMs: clock.monotonicMs() };
      await this.#reign(tenure, opening);
    } finally {
      // The epoch is still to be had, and its lock free again.
      if (tenure === undefined) this.#epoch = epoch - 1;
      await unlock();
    }
  }

  async #reign(tenure: Tenure, opening: Opening): Promise<void> {
    const { clock, log, place } = this.#parts;
    this.#tenure = tenure;
    let hasServed = false;
    try {
      if (this.#isStopping) {
        // It was asked to stop while it took the reign: there was nothing to end yet, and nobody else would.
        await this.#give(tenure);
        return;
      }
      this.#become('recovering');
      const { recoveryMs, fenceMs } = await tenure.open();
      const recoveredMs = clock.monotonicMs();
      const service = tenure.service!;
      this.#storeId = service.storeId;
      if (place.link === undefined) tenure.linkDown('it was lost during the takeover');
      // Links may come and go meanwhile.
      let heard = 0;
      while (!tenure.isEnded && place.link !== undefined && place.link !== this.#servedLink) {
        heard += await this.#serve(place.link);
      }
      if (!tenure.isEnded) {
        this.#penaltyMs = FIRST_PENALTY_MS;
        hasServed = true;
        const servedMs = clock.monotonicMs();
        const course = {
          epoch: tenure.epoch,
          node: this.#parts.options.nodeName,
          recoveryMs,
          fenceMs,
          servingMs: servedMs - recoveredMs,
          heard,
          servedMs,
          atWallMs: Number(clock.wallNs() / 1_000_000n),
        };
        const story = storyOf(opening, course, service);
        this.takeovers++;
        this.takeoversBy[story.reasonKind]++;
        this.lastTakeover = story;
        this.history.told(story);
        this.#become('active');
        tellTakeover(log, story);
        log.info(
          {
            epoch: tenure.epoch,
            reason: story.reason,
            tookMs: Math.round(story.tookMs),
            recoveryMs: Math.round(recoveryMs),
            channels: story.found.channels,
            clients: story.found.clients,
            nats: place.server,
          },
          'Streaming Server is ready',
        );
      }
      const end = await tenure.ended;
      this.reignsEnded[end.kind === 'cut off' ? 'failed' : end.kind]++;
      log.warn(
        { epoch: tenure.epoch, reason: end.why },
        `the reign of epoch ${tenure.epoch} ends: ${end.why}`,
      );
      if (end.kind === 'handover') await this.#give(tenure);
      else await tenure.breakOff(end.kind !== 'lost');
      if (end.kind === 'failed') this.#punish();
    } catch (error) {
      // Recovery failed.
      log.error(
        { epoch: tenure.epoch, reason: (error as Error).message },
        'the store could not be recovered',
      );
      const isLost = error instanceof StoreError && error.code === 'lost';
      this.reignsEnded[isLost ? 'lost' : 'failed']++;
      await tenure.breakOff(!isLost);
      this.#hasTrouble((error as Error).message);
      if (error instanceof StoreError && error.code === 'no-space') this.#pauseFor(NO_ROOM_PENALTY_MS);
      else this.#punish();
    } finally {
      if (place.link !== undefined && place.link === this.#servedLink) {
        for (const sid of tenure.service?.broker.sids ?? []) place.link.unsubscribe(sid);
      }
      this.#servedLink = undefined;
      this.#tenure = undefined;
      if (hasServed) this.#watch.reigned(this.#parts.holder, clock.monotonicMs());
      if (!this.#isStopping) this.#become('standby');
    }
  }

  /** Lets a standby listen first, then gives it everything: clients notice nothing but a short wait. */
  async #give(tenure: Tenure): Promise<void> {
    const { clock, place, holder, log } = this.#parts;
    const begunMs = clock.monotonicMs();
    const { service, epoch } = tenure;
    if (service !== undefined && this.#watch.hasStandby(begunMs)) {
      await service.checkpoint();
      const ready = new Promise<void>((resolve) => {
        this.#onReady = resolve;
      });
      this.#say({ kind: 'offer', member: holder, epoch });
      await Promise.race([ready, this.#pass(READY_MS)]);
      this.#onReady = undefined;
    }
    const isGiven = await tenure.handOver(place.link);
    if (isGiven) this.#say({ kind: 'released', member: holder, epoch });
    this.#notBeforeMs = clock.monotonicMs() + this.#parts.options.leaseMs * HANDOVER_LEASES;
    log.info({ epoch, tookMs: Math.round(clock.monotonicMs() - begunMs) }, 'the reign has been given back');
  }

  #punish(): void {
    this.#pauseFor(this.#penaltyMs);
    this.#penaltyMs = Math.min(MAX_PENALTY_MS, this.#penaltyMs * 2);
  }

  /** Others may try meanwhile. */
  #pauseFor(ms: number): void {
    this.#notBeforeMs = this.#parts.clock.monotonicMs() + ms;
  }

  /** The broker serves on this link; what was heard before goes to it first. @returns how many messages that were */
  async #serve(link: PlaceLink): Promise<number> {
    const tenure = this.#tenure;
    const broker = tenure?.service?.broker;
    if (tenure === undefined || broker === undefined || tenure.isEnded) return 0;
    const listening = this.#listening?.link === link ? this.#listening : undefined;
    this.#listening = undefined;
    this.#servedLink = link;
    const up = broker.linkUp(link, listening?.sids);
    const count = listening?.replay(broker) ?? 0;
    // If it goes down meanwhile, the next link brings the next try.
    await up.catch(() => {});
    return count;
  }

  #listen(): void {
    const { place, clock } = this.#parts;
    if (place.link === undefined || this.#listening?.link === place.link || this.#storeId === '') return;
    if (this.#tenure?.service !== undefined) return;
    // All of these can be taken twice: publishes and connections are recognised, an acknowledgement does no harm.
    const { discover } = this.#subjects;
    const subjects = [publishSubject(this.#subjects), ackSubject(this.#storeId), discover];
    this.#listening = new Listening(place.link, subjects, clock);
  }

  #stopListening(): void {
    if (this.#listening === undefined || this.#tenure !== undefined) return;
    this.#listening.end();
    this.#listening = undefined;
  }

  // What the place tells.

  linkUp(link: PlaceLink): void {
    this.#heartbeatsUnheard = 0;
    this.#tenure?.linkUp();
    if (this.#role === 'active') void this.#serve(link);
    this.#wake?.();
  }

  linkDown(reason: string): void {
    this.#listening = this.#servedLink = undefined;
    this.broker?.linkDown();
    this.#tenure?.linkDown(reason);
  }

  /** Whoever takes what comes in on the link: undefined if nobody does. */
  get listener(): Listening | undefined {
    return this.#listening;
  }

  said(payload: Uint8Array): void {
    const message = decodeGroupMessage(payload);
    if (message === undefined) return;
    const { clock, holder } = this.#parts;
    if (message.member === holder) {
      if (message.kind === 'heartbeat') this.#heartbeatsUnheard = 0;
      return;
    }
    switch (message.kind) {
      case 'heartbeat':
        this.#checkStore(message);
        this.#watch.heard(message, clock.monotonicMs());
        this.#learn(message);
        return;
      case 'offer':
        void this.#answerOffer(message.epoch);
        return;
      case 'ready':
        if (message.epoch === this.#tenure?.epoch) this.#onReady?.();
        return;
      case 'released':
        this.#looksFresh = true;
        this.#wake?.();
        return;
      case 'leaving':
        this.#watch.left(message.member);
        return;
    }
  }

  #learn({ role, epoch, node, forMs, story }: Heartbeat): void {
    if (role !== 'active') return;
    const { clock, log } = this.#parts;
    const news =
      story === undefined
        ? this.history.saw(epoch, node, Number(clock.wallNs() / 1_000_000n) - forMs)
        : this.history.told(story);
    if (news !== undefined) tellOther(log, news);
  }

  async #answerOffer(epoch: number): Promise<void> {
    if (this.#role !== 'standby' || this.#isStopping || this.#watch.aheadOfStore !== undefined) return;
    this.#listen();
    const listening = this.#listening;
    if (listening === undefined) return;
    await listening.begun.catch(() => {});
    if (this.#listening === listening) this.#say({ kind: 'ready', member: this.#parts.holder, epoch });
  }

  /** A forgotten mount: this member would serve from another store than its group. */
  #checkStore(other: Heartbeat): void {
    const otherReigns = other.role === 'active' || other.role === 'recovering';
    if (other.storeId === '' || other.storeId === this.#storeId) return;
    // Whoever has been admitted goes by what the active has; who has not, by anybody.
    if (this.#role !== 'starting' && !otherReigns) return;
    // Nothing there yet, and the active may just have made it.
    if (this.#storeId === '' && this.#role !== 'starting') return;
    if (this.#tenure !== undefined) {
      const isOlder =
        other.forMs > this.roleForMs || (other.forMs === this.roleForMs && other.member < this.#parts.holder);
      if (!isOlder) return;
    }
    this.#stranger = other;
    this.#tenure?.end({ kind: 'failed', why: this.#mismatch(other).message });
  }

  /** Looks again: the store may have been made a moment ago, and a mount may not show it at once. */
  async #confirmMismatch(): Promise<Error | undefined> {
    const { clock } = this.#parts;
    const other = this.#stranger;
    if (other === undefined) return undefined;
    const until = clock.monotonicMs() + NEW_STORE_MS;
    await this.#readStoreId();
    while (this.#storeId === '' && clock.monotonicMs() < until) {
      await this.#pass(NEW_STORE_LOOK_MS);
      await this.#readStoreId();
    }
    if (this.#storeId !== other.storeId) return this.#mismatch(other);
    this.#stranger = undefined;
    return undefined;
  }

  #mismatch(other: Heartbeat): Error {
    const { options, dir } = this.#parts;
    const mine = this.#storeId === '' ? 'holds no store' : `holds store ${this.#storeId}`;
    return new Error(
      `This member of group "${options.name}" points at another store than its group: ${dir} here (node ${options.nodeName}) ${mine}, ` +
        `${other.storeDir} at node ${other.node} holds store ${other.storeId}. Is the shared volume mounted at ${dir}?`,
    );
  }

  /** A copy has the store's identity, and no part in what becomes of it. */
  #astray(ahead: Heartbeat): string {
    const { options, dir } = this.#parts;
    const { epoch, counter } = this.#watch.state!;
    return (
      `This member of group "${options.name}" does not see what its group writes: the store in ${dir} here (node ${options.nodeName}) is at ` +
      `renewal ${counter} of epoch ${epoch}, that in ${ahead.storeDir} at node ${ahead.node} is at renewal ${ahead.counter ?? 0} of epoch ${ahead.epoch} or later. ` +
      `Is ${dir} a copy or a restored backup, instead of the shared volume?`
    );
  }

  async #readStoreId(): Promise<void> {
    if (this.#storeId !== '') return;
    this.#storeId = (await this.#parts.readIdentity())?.storeId ?? '';
  }

  #beat(): void {
    const { options, holder, dir, place, clock } = this.#parts;
    this.#heartbeatTimer = clock.setTimer(options.leaseMs / HEARTBEATS_PER_LEASE, () => this.#beat());
    this.#say({
      kind: 'heartbeat',
      member: holder,
      node: options.nodeName,
      role: this.#role,
      epoch: this.epoch,
      counter: this.#role === 'active' ? this.#tenure?.keeper.counter : undefined,
      forMs: Math.round(this.roleForMs),
      storeId: this.#storeId,
      storeDir: dir,
      server: place.server,
      story: this.#role === 'active' ? this.lastTakeover : undefined,
    });
    this.#tenure?.checkRenewals();
    this.#checkEcho();
  }

  /** A connection that looks well and carries nothing. */
  #checkEcho(): void {
    const { place } = this.#parts;
    if (place.link === undefined) return;
    if (++this.#heartbeatsUnheard <= HEARTBEATS_PER_LEASE * 2) return;
    this.#heartbeatsUnheard = 0;
    this.#tenure?.end({ kind: 'cut off', why: `NATS at ${place.server} does not carry messages` });
    place.leaveServer('it does not carry messages');
  }

  #say(message: GroupMessage): void {
    this.#parts.place.say(encodeGroupMessage(message));
  }

  #become(role: MemberRole): void {
    if (role === this.#role) return;
    const wasStarting = this.#role === 'starting';
    this.#role = role;
    this.#roleSinceMs = this.#parts.clock.monotonicMs();
    if (role === 'standby') {
      this.#parts.log.info({ group: this.#parts.options.name, store: this.#parts.dir }, 'Standby: watching');
    }
    // Others should know at once.
    if (!wasStarting && role !== 'stopping') {
      this.#heartbeatTimer?.cancel();
      this.#beat();
    }
    this.onChanged?.();
  }

  #hasTrouble(trouble: string): void {
    this.#trouble = trouble;
    const { clock, log } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#troubleLoggedMs < TROUBLE_MS) return;
    this.#troubleLoggedMs = nowMs;
    log.error({}, trouble);
  }

  /** Ends early when there is news. */
  #pass(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#parts.clock.setTimer(ms, resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}

/** Sorts what the place brings: to the broker, to who listens, to the member. */
class Handler implements PlaceHandler {
  readonly #member: Member;

  constructor(member: Member) {
    this.#member = member;
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
    const { listener, broker } = this.#member;
    if (listener !== undefined) {
      listener.keep(sid, buffer, subjectStart, subjectEnd, replyStart, replyEnd, payloadStart, payloadEnd);
    } else {
      broker?.onMessage(
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

  onBatchEnd(): void {
    if (this.#member.listener === undefined) this.#member.broker?.onBatchEnd();
  }

  onLinkUp(link: PlaceLink): void {
    this.#member.linkUp(link);
  }

  onLinkDown(reason: string): void {
    this.#member.linkDown(reason);
  }

  onDrain(): void {
    this.#member.broker?.linkDrained();
  }

  onGroupMessage(payload: Uint8Array): void {
    this.#member.said(payload);
  }
}
