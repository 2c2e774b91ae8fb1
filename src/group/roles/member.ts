import type { Broker } from '../../broker/broker.js';
import { guardedClock } from '../../clock/guarded-clock.js';
import { StoreError } from '../../files/store-error.js';
import { leaseGroup } from '../../lease/lease-state.js';
import type { NatsRefusal } from '../../nats/refusal.js';
import type { StanSubjects } from '../../protocol/stan-subjects.js';
import { must } from '../../util/assert.js';
import { bugOf, isBug } from '../../util/bug.js';
import { countsOf } from '../../util/counts.js';
import type { IgnoredTalk } from '../proof/ignored-talk.js';
import { MemberProblem } from '../report/member-problem.js';
import { type PeerStatus, peerStatus } from '../report/peer-status.js';
import { TakeoverHistory } from '../report/takeover-history.js';
import type { GroupClocks } from '../talk/group-clocks.js';
import { type Heartbeat, MAX_PROBLEM_LENGTH, MEMBER_ROLES, type MemberRole } from '../talk/group-messages.js';
import type { TransportHandler, TransportLink } from '../talk/nats-transport.js';
import type { TakeoverReason, TakeoverTimeline } from '../talk/takeover-timeline.js';
import { type DisputeStatus, disputeStatus } from '../watch/dispute-status.js';
import { LeaseWatch } from '../watch/lease-watch.js';
import { TwinHosts } from '../watch/twin-hosts.js';
import { Active } from './active.js';
import { Candidate } from './candidate.js';
import { Hearing } from './hearing.js';
import { loneBroker } from './lone-broker.js';
import { MemberHandler } from './member-handler.js';
import { MemberHealth } from './member-health.js';
import type { MemberParts } from './member-parts.js';
import { otherGroup } from './other-groups.js';
import { otherServer } from './other-server.js';
import { Pause } from './pause.js';
import { Presence } from './presence.js';
import { Standby } from './standby.js';
import { StoreCheck } from './store-check.js';

const LOOKS_PER_LEASE = 12;
const MIN_LOOK_MS = 20;
const MAX_LOOK_MS = 250;
/** A member that is silent for this number of leases does not count as present. */
const HEARD_LEASES = 3;

/**
 * One broker of a group: watches the lease as a standby, contends for it when it may, serves while it is active, and watches
 * again. It never trusts a clock for safety: see `LeaseRenewer.fence`.
 */
export class Member {
  readonly handler: TransportHandler = new MemberHandler(this);
  /** Called when the role changes, or what it is good for. */
  onChanged: (() => void) | undefined;
  /** Why it cannot be part of the group, if that turns out after the start. Called once; the member has stopped. */
  onFatal: ((error: Error) => void) | undefined;
  readonly history = new TakeoverHistory();
  /** What keeps it from doing its part, and what is not as it should be. */
  readonly health: MemberHealth;

  readonly #parts: MemberParts;
  readonly #watch: LeaseWatch;
  readonly #pause: Pause;
  readonly #problem: MemberProblem;
  readonly #presence: Presence;
  readonly #store: StoreCheck;
  readonly #standby: Standby;
  readonly #candidate: Candidate;
  readonly #active: Active;
  readonly #hearing: Hearing;
  #running: Promise<void> | undefined;

  constructor(given: MemberParts, subjects: StanSubjects) {
    const clock = guardedClock(given.clock, (thrown) => this.broken(thrown));
    const parts = { ...given, clock };
    const { log, holder, options } = parts;
    this.#parts = parts;
    const watch = new LeaseWatch(holder, options.leaseMs, clock.monotonicMs(), leaseGroup(options.name));
    const pause = new Pause(clock);
    const problem = new MemberProblem(clock, log);
    const presence = new Presence({
      parts,
      about: () => this.#about(),
      onBeat: () => {
        const { term } = this.#active;
        term?.checkRenewals();
        term?.checkWrites();
        term?.checkRecovery();
        this.#yieldToAbler();
        this.#inBackground(this.#lookAtStore());
      },
      onUnheard: (why) => this.#active.term?.end({ kind: 'cut off', why }),
      onChanged: () => this.onChanged?.(),
    });
    const store = new StoreCheck(parts, presence, pause);
    const standby = new Standby({ parts, subjects, watch, presence, store, problem });
    const { history } = this;
    const active = new Active({
      ...{ parts, watch, presence, pause, standby, store, problem, history },
      onBroken: (thrown) => this.broken(thrown),
    });
    const candidate = new Candidate({
      parts,
      watch,
      presence,
      pause,
      onWon: (term, opening) => active.run(term, opening),
    });
    const twins = new TwinHosts(parts);
    this.health = new MemberHealth({ parts, watch, presence, standby, active, problem, twins });
    this.#watch = watch;
    this.#pause = pause;
    this.#problem = problem;
    this.#presence = presence;
    this.#store = store;
    this.#standby = standby;
    this.#active = active;
    this.#candidate = candidate;
    this.#hearing = new Hearing({
      ...{ parts, watch, twins, pause, presence, store, standby, active, history },
      inBackground: (work) => this.#inBackground(work),
    });
  }

  get role(): MemberRole {
    return this.#presence.role;
  }

  get roleForMs(): number {
    return this.#presence.roleForMs;
  }

  /** The epoch of its own term, else the newest that it knows. */
  get epoch(): number {
    return Math.max(this.#active.term?.epoch ?? 0, this.#watch.state?.epoch ?? 0, this.#candidate.epoch);
  }

  get storeId(): string {
    return this.#store.storeId;
  }

  get broker(): Broker | undefined {
    return this.#active.term?.service?.broker;
  }

  /** Milliseconds since the lease was renewed; undefined while it has none. */
  get leaseAgeMs(): number | undefined {
    const { term } = this.#active;
    return term && this.#parts.clock.monotonicMs() - term.renewer.renewedMs;
  }

  get renewalMs(): number | undefined {
    return this.#active.term?.renewer.renewalMs;
  }

  /** Terms that it began to serve in. */
  get takeovers(): number {
    return this.#active.takeovers;
  }

  get takeoversBy(): Readonly<Record<TakeoverReason, number>> {
    return this.#active.takeoversBy;
  }

  get termsEnded(): Active['termsEnded'] {
    return this.#active.termsEnded;
  }

  /** Its own. */
  get lastTakeover(): TakeoverTimeline | undefined {
    return this.#active.lastTakeover;
  }

  /** Whether it is a standby that has nothing to do but to wait. */
  get isIdle(): boolean {
    return this.role === 'standby' && !this.#standby.isListening && !this.#presence.isStopping;
  }

  /** The broker that serves clients now, on the link that there is now. */
  get servingBroker(): Broker | undefined {
    return this.#active.servingBroker;
  }

  /** Two sides of the group, which do not hear each other, take the lease from each other. */
  get dispute(): DisputeStatus | undefined {
    const { clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const standing = this.#watch.dispute.standing(nowMs);
    return standing && disputeStatus(standing, nowMs, Number(clock.wallNs() / 1_000_000n));
  }

  /** How many members are in each role: this one, and those that were heard within the last leases. */
  rolesHeard(): Readonly<Record<MemberRole, number>> {
    const { clock, options } = this.#parts;
    const counts = countsOf(MEMBER_ROLES);
    counts[this.role]++;
    const withinMs = options.leaseMs * HEARD_LEASES;
    for (const { role } of this.#watch.heardWithin(withinMs, clock.monotonicMs())) {
      // Another version may have roles that this one does not know.
      if (role in counts) counts[role]++;
    }
    return counts;
  }

  get clocks(): GroupClocks {
    return this.#parts.clocks;
  }

  /** Whether it believes only what is proved by the key of its store. */
  get needsProof(): boolean {
    return this.#parts.talk.key !== undefined;
  }

  /** What was said on the group's subjects without a proof. */
  get ignored(): IgnoredTalk {
    return this.#parts.talk.ignored;
  }

  /** Other members, as they were heard last: also those that have fallen silent, for some minutes. */
  get peers(): PeerStatus[] {
    const { clock, options } = this.#parts;
    const heardMs = options.leaseMs * HEARD_LEASES;
    return this.#watch.lately(clock.monotonicMs()).map((peer) => peerStatus(peer, heardMs));
  }

  /**
   * Joins the group: listens whether it has another store, then watches. The transport is connected.
   *
   * @param signal gives that up, if it comes before this has ended
   * @throws Error if this member does not belong to the group; the signal's reason
   */
  async start(signal?: AbortSignal): Promise<void> {
    const { lease, holder, options } = this.#parts;
    signal?.addEventListener('abort', () => this.#pause.wake());
    await this.#store.readIdentity();
    const lone = await loneBroker(this.#parts, this.#pause, signal);
    signal?.throwIfAborted();
    if (lone !== undefined) throw lone;
    // What the others say counts once they have heard this member.
    if (this.needsProof) this.#presence.hello();
    const [other, server] = await Promise.all([
      otherGroup(this.#parts, this.#pause),
      otherServer(this.#parts, this.#pause),
      this.#pause.pass(options.leaseMs / 2),
    ]);
    signal?.throwIfAborted();
    const mismatch = other ?? server ?? (await this.#store.confirm()) ?? (await this.#store.confirmNew());
    if (mismatch !== undefined) throw mismatch;
    signal?.throwIfAborted();
    const problem = await lease.create(holder, this.#store.storeId !== '');
    if (problem !== undefined) this.#parts.log.warn({}, problem);
    const { epoch } = await lease.read();
    await this.#parts.testStore(epoch).catch((error: unknown) => {
      // It can wait and watch. There may be room by the time it has to take over.
      if (!(error instanceof StoreError && error.code === 'no-space')) throw error;
      this.#problem.cannotTakeOver(error.message);
    });
    signal?.throwIfAborted();
    this.health.watchesSince(this.#parts.clock.monotonicMs());
    this.#presence.become('standby');
    this.#presence.beat();
    this.#running = this.#run();
  }

  /** Hands over if it is active, and leaves. */
  async stop(): Promise<void> {
    if (this.#presence.isStopping) return this.#running;
    this.#presence.isStopping = true;
    this.#pause.wake();
    this.#active.term?.end({ kind: 'handover', why: 'it is being stopped' });
    await this.#running;
    this.#retire();
    this.#presence.say({ kind: 'leaving', member: this.#parts.holder });
  }

  /** Gives the lease to a standby. @returns why not, if it cannot */
  handOver(): string | undefined {
    const { term } = this.#active;
    if (term === undefined || this.role !== 'active') return 'this member is not active';
    if (this.#watch.standbys(this.#parts.clock.monotonicMs()).length === 0) return this.health.whyNoStandby;
    term.end({ kind: 'handover', why: 'it was asked to hand over' });
    return undefined;
  }

  async #run(): Promise<void> {
    const { clock, options, dir } = this.#parts;
    const watch = this.#watch;
    const lookMs = Math.min(MAX_LOOK_MS, Math.max(MIN_LOOK_MS, options.leaseMs / LOOKS_PER_LEASE));
    while (!this.#presence.isStopping) {
      try {
        const { replaced } = this.#store;
        if (replaced !== undefined) return this.#leave(new Error(replaced));
        const opportunity = await this.#standby.look();
        const mismatch = await this.#store.confirm();
        if (mismatch !== undefined) return this.#leave(mismatch);
        const state = must(watch.state, 'a look has seen the lease');
        if (watch.isAstray(clock.monotonicMs())) {
          const ahead = must(watch.aheadOfStore, 'a store is astray by the term of another member');
          return this.#leave(new Error(this.#store.astray(state, ahead)));
        }
        const mayTakeOver = this.#active.mayTakeOver(clock.monotonicMs()) && !this.#presence.isStopping;
        const { whyNoNewStore } = this.#store;
        if (whyNoNewStore !== undefined) this.#problem.raise(whyNoNewStore);
        else if (opportunity !== undefined && mayTakeOver) await this.#candidate.contend(state, opportunity);
      } catch (error) {
        if (isBug(error)) this.broken(error);
        else this.#problem.raise(`the store in ${dir} cannot be watched: ${(error as Error).message}`);
      }
      if (!this.#presence.isStopping) await this.#pause.pass(lookMs);
    }
  }

  /**
   * An exception that nothing expects, in what it does beside its broker. A term may rest on that, so it ends; the member stays, since
   * its group may need it.
   */
  broken(thrown: unknown): void {
    const bug = bugOf(thrown);
    this.#problem.found(bug);
    this.#active.term?.end({ kind: 'failed', why: bug.message });
  }

  /** Sees to work that nothing waits for. */
  #inBackground(work: Promise<void>): void {
    work.catch((thrown: unknown) => this.broken(thrown));
  }

  /** An active goes on with the files that it has open, wherever its successor would look for them. */
  async #lookAtStore(): Promise<void> {
    if (await this.#store.look()) return;
    const { replaced } = this.#store;
    // In a folder that it was not taken in, the lease is not given back.
    if (replaced !== undefined) this.#active.term?.end({ kind: 'lost', why: replaced });
    else this.#active.term?.end({ kind: 'failed', why: `${this.#parts.dir} has been mounted anew` });
  }

  #leave(error: Error): void {
    this.#presence.isStopping = true;
    this.#retire();
    this.onFatal?.(error);
  }

  #retire(): void {
    this.#presence.silence();
    this.#standby.dropBuffer();
    this.#presence.become('stopping');
  }

  /** Clients are not heard here, and may be where a standby is. To be called now and then. */
  #yieldToAbler(): void {
    const problem = this.health.serviceProblem;
    if (problem?.isOwn !== true || this.role !== 'active') return;
    if (this.#watch.standbys(this.#parts.clock.monotonicMs()).length === 0) return;
    this.#active.term?.end({ kind: 'handover', why: problem.text });
  }

  #about(): Partial<Heartbeat> & Pick<Heartbeat, 'epoch' | 'storeId'> {
    const { clocks } = this.#parts;
    const isActive = this.role === 'active';
    clocks.look();
    const store = isActive ? this.broker?.store : undefined;
    if (store !== undefined) clocks.serves(this.epoch, store.nowNs());
    return {
      epoch: this.epoch,
      counter: isActive ? this.#active.term?.renewer.counter : undefined,
      storeId: this.storeId,
      cannotServe: this.health.cannotServe?.slice(0, MAX_PROBLEM_LENGTH),
      story: isActive ? this.lastTakeover : undefined,
      ...clocks.times(),
    };
  }

  // The events of the transport.

  /** NATS has refused something on the connection that carries the group's talk. */
  talkRefused(refusal: NatsRefusal): void {
    this.#presence.talkRefused(refusal);
  }

  linkUp(link: TransportLink): void {
    this.#presence.linkUp();
    this.#active.linkUp(link);
    this.#pause.wake();
  }

  linkDown(reason: string): void {
    this.#standby.linkDown();
    this.#active.linkDown(reason);
  }

  said(payload: Uint8Array): void {
    this.#hearing.said(payload);
  }
}
