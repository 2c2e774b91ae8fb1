import { isForeign } from '../../lease/held.js';
import { type LeaseState, RELEASED, sameLease, watchedMs } from '../../lease/lease-state.js';
import { STUCK_LEASES } from '../../lease/renewal-rules.js';
import { must } from '../../util/assert.js';
import type { Heartbeat } from '../talk/group-messages.js';
import type { TakeoverReason } from '../talk/takeover-timeline.js';
import { Dispute } from './dispute.js';

// The watch of a standby on the lease and on the other members.

/** Why the lease may be taken. */
export interface Opportunity {
  kind: TakeoverReason;
  /** The reason for people. */
  why: string;
}

/** A renewal of a term. */
interface Renewal {
  readonly epoch: number;
  readonly counter?: number | undefined;
}

/** A renewal that the store must have reached: an active has reported it, or this member has found or made it. */
export type Ahead = Heartbeat | Renewal;

interface Peer {
  heartbeat: Heartbeat;
  heardMs: number;
}

/** The last heartbeat of another member, and its age. */
export interface Lately {
  readonly heartbeat: Heartbeat;
  readonly silentMs: number;
}

/** After this part of the lease without a word of the holder, a standby gets ready. */
const SUSPICION = 0.55;
/** How long a silent member counts as a member. */
const MEMBER_MS = 10 * 60_000;
/** Processes of members that are remembered at a time. */
const MAX_PEERS = 64;
/** Limit of members in a status. */
const MAX_LATELY = 32;
/** Leases without a word of any member after which this member itself counts as cut off: fewer than those after which a holder does. */
const DEAF_LEASES = 3;

/**
 * What a standby knows of the lease and of the other members, and what it concludes. Safety does not depend on it: a wrong conclusion
 * only makes an innocent active a standby. All times are the clock's monotonic milliseconds.
 */
export class LeaseWatch {
  readonly peers = new Map<string, Peer>();
  readonly dispute: Dispute;
  readonly #self: string;
  readonly #leaseMs: number;
  /** The group, as it stands in the lease. */
  readonly #group: string | undefined;
  #state: LeaseState | undefined;
  /** The end of the first look that saw this state. */
  #sinceMs = 0;
  /** The beginning of the last look that saw it. */
  #untilMs = 0;
  /** The last word of the holder of the state. */
  #heardMs: number;
  /** The time of the last word of any other member, and the end of the last long silence. */
  #anyHeardMs: number;
  #hearsSinceMs: number;
  #signMs: number | undefined;
  #active: string | undefined;
  #isDead = false;
  /** The last renewal that an active has reported, and that at the beginning of the present look. */
  #saidLast: Heartbeat | undefined;
  #saidBefore: Heartbeat | undefined;
  /** The newest renewal that was found in the store, or that this member has made. */
  #known: Renewal | undefined;
  /** The beginning of the first look that found less than that. */
  #behindMs: number | undefined;

  constructor(self: string, leaseMs: number, nowMs: number, group?: string) {
    this.#self = self;
    this.#group = group;
    this.#leaseMs = leaseMs;
    this.dispute = new Dispute(leaseMs);
    this.#heardMs = this.#anyHeardMs = this.#hearsSinceMs = nowMs;
  }

  get state(): LeaseState | undefined {
    return this.#state;
  }

  /** The lease, if a broker without a group or a member of another group holds it. Neither is heard, and both may live. */
  get foreign(): LeaseState | undefined {
    const state = this.#state;
    return state !== undefined && isForeign(state, this.#self, this.#group) ? state : undefined;
  }

  /** How long the holder may be silent: as its lease says, or as this member's own if that is longer. */
  get #lengthMs(): number {
    return this.#state === undefined ? this.#leaseMs : watchedMs(this.#state, this.#leaseMs);
  }

  /** The time of the last sign that a member serves: a heartbeat or a renewal; undefined if there was none. */
  get signMs(): number | undefined {
    return this.#signMs;
  }

  /** The member that was last seen to serve; undefined if none ever was. */
  get active(): string | undefined {
    return this.#active;
  }

  /** The renewal that the store must have reached, if this member sees less and no look has explained it yet. */
  get aheadOfStore(): Ahead | undefined {
    const state = this.#state;
    if (this.#behindMs === undefined || state === undefined) return undefined;
    const said = this.#saidBefore;
    return said !== undefined && isOlder(state, said) ? said : this.#known;
  }

  /** The same, for longer than a mount caches anything: then this member does not see the store of its group. */
  isAstray(nowMs: number): boolean {
    return this.#behindMs !== undefined && nowMs - this.#behindMs >= this.#leaseMs * STUCK_LEASES;
  }

  /** Notes a sign that a member serves, also from this member. */
  sawServe(member: string, nowMs: number): void {
    this.#active = member;
    this.#signMs = nowMs;
  }

  /** Notes the beginning of a look, which must find everything that was reported before. */
  looks(): void {
    // A report that was not found stays until it is found: the active reports more every moment.
    if (this.#behindMs === undefined) this.#saidBefore = this.#saidLast;
  }

  /** Notes the lease that a look from `begunMs` to `endedMs` has found. @param isDead whether the holder's process is gone */
  saw(state: LeaseState, isDead: boolean, begunMs: number, endedMs: number): void {
    if (this.#state === undefined || !sameLease(this.#state, state)) {
      // The holder of a new term has not been heard yet: it has the length of the lease for that, from when this member knew of it. A look
      // may have hung for a minute in between, as after the file server's restart.
      const isNew = this.#state?.epoch !== state.epoch || this.#state.holder !== state.holder;
      // A holder that is in no group, or in another, says nothing to this one: its renewals are all that there is to hear.
      if (isNew || isForeign(state, this.#self, this.#group))
        this.#heardMs = Math.max(this.#heardMs, endedMs);
      if (state.holder !== RELEASED)
        this.dispute.passed(state.epoch, state.holder, this.#isKnown(state.holder, endedMs), endedMs);
      // The first look may find a state that is years old.
      if (state.holder !== RELEASED && this.#mayServe(state.holder)) {
        if (this.#state === undefined) this.#active ??= state.holder;
        else this.sawServe(state.holder, begunMs);
      }
      this.#state = state;
      this.#sinceMs = endedMs;
    }
    this.#untilMs = begunMs;
    this.#isDead = isDead;
    const isBehind =
      (this.#saidBefore !== undefined && isOlder(state, this.#saidBefore)) ||
      (this.#known !== undefined && isOlder(state, this.#known));
    this.#behindMs = isBehind ? (this.#behindMs ?? begunMs) : undefined;
    this.#know(state);
  }

  /**
   * Notes the last renewal of this member's own term. If an old copy has replaced the store, that has ended the term, since the
   * lease's name is gone, and no other member would report it.
   */
  held(state: Renewal): void {
    this.#know(state);
  }

  #know(state: Renewal): void {
    if (this.#known === undefined || isOlder(this.#known, state)) this.#known = state;
  }

  /** Notes that this member has taken the lease. */
  took(epoch: number, nowMs: number): void {
    this.dispute.passed(epoch, this.#self, true, nowMs);
  }

  heard(heartbeat: Heartbeat, nowMs: number): void {
    const isNew = !this.peers.has(heartbeat.member);
    if (isNew) this.#forgetFormer(nowMs);
    this.dispute.heard(heartbeat.member, isNew);
    if (nowMs - this.#anyHeardMs > this.#leaseMs * DEAF_LEASES) this.#hearsSinceMs = nowMs;
    this.#anyHeardMs = nowMs;
    this.peers.set(heartbeat.member, { heartbeat, heardMs: nowMs });
    const terms = heartbeat.role === 'active' || heartbeat.role === 'recovering';
    const isPresent = heartbeat.epoch >= (this.#state?.epoch ?? 0);
    if (heartbeat.role === 'active' && isPresent) {
      this.sawServe(heartbeat.member, nowMs);
      if (this.#saidLast === undefined || !isOlder(heartbeat, this.#saidLast)) this.#saidLast = heartbeat;
    }
    if (terms && heartbeat.member === this.#state?.holder) this.#heardMs = nowMs;
  }

  /** Forgets what was heard before members had a key to prove it by. */
  forgetPeers(): void {
    this.peers.clear();
    this.#saidLast = this.#saidBefore = undefined;
  }

  /** The heartbeats of other members within the last `withinMs`. */
  *heardWithin(withinMs: number, nowMs: number): IterableIterator<Heartbeat> {
    for (const { heartbeat, heardMs } of this.peers.values()) {
      if (nowMs - heardMs <= withinMs) yield heartbeat;
    }
  }

  /**
   * The other members of the last minutes, also silent ones, the last heard first. Those that said goodbye, or were restarted since,
   * are left out.
   */
  lately(nowMs: number): Lately[] {
    return [...this.peers.values()]
      .filter((peer) => nowMs - peer.heardMs <= MEMBER_MS && !this.#hasComeBack(peer))
      .map(({ heartbeat, heardMs }) => ({ heartbeat, silentMs: nowMs - heardMs }))
      .sort((a, b) => a.silentMs - b.silentMs)
      .slice(0, MAX_LATELY);
  }

  /** Notes a goodbye of a member, for its node. */
  left(member: string): void {
    const gone = this.peers.get(member);
    if (gone === undefined) return;
    // Otherwise a former process of the node, which was killed, would count as missing again.
    for (const [other, { heartbeat, heardMs }] of this.peers) {
      if (heartbeat.node === gone.heartbeat.node && heardMs <= gone.heardMs) this.peers.delete(other);
    }
  }

  /** The present standbys that could take over and serve. */
  standbys(nowMs: number): string[] {
    return [...this.peers.values()]
      .filter(
        ({ heartbeat, heardMs }) =>
          heartbeat.member !== this.#self &&
          heartbeat.role === 'standby' &&
          heartbeat.cannotServe === undefined &&
          nowMs - heardMs < this.#leaseMs,
      )
      .map(({ heartbeat }) => heartbeat.member);
  }

  /** Whether to subscribe to what clients publish, and to look at the store past the cache of its mount. */
  isSuspicious(nowMs: number): boolean {
    const state = this.#state;
    if (state === undefined || state.holder === this.#self) return false;
    return (
      state.holder === RELEASED ||
      this.#isDead ||
      this.#behindMs !== undefined ||
      nowMs - this.#heardMs > this.#lengthMs * SUSPICION
    );
  }

  /** Why the lease may be taken, according to the last look. */
  judge(nowMs: number): Opportunity | undefined {
    const state = this.#state;
    if (state === undefined) return undefined;
    // This may be a copy of the store: its lease must not be taken while another one's holder lives.
    if (this.#behindMs !== undefined) return undefined;
    if (state.holder === RELEASED) {
      return state.epoch === 0
        ? { kind: 'first', why: 'nobody has ever had it' }
        : { kind: 'handover', why: 'it was given back' };
    }
    if (state.holder === this.#self)
      return { kind: 'lease_expired', why: 'it was left behind by this member' };
    if (this.#isDead) return { kind: 'process_died', why: 'the process that holds it has died' };
    const leaseMs = this.#lengthMs;
    const sameMs = this.#untilMs - this.#sinceMs;
    const silentMs = nowMs - this.#heardMs;
    if (sameMs >= leaseMs && silentMs >= leaseMs) {
      return {
        kind: 'lease_expired',
        why: `not renewed for ${Math.round(sameMs)} ms, and not heard for ${Math.round(silentMs)} ms`,
      };
    }
    if (sameMs >= leaseMs * STUCK_LEASES) {
      return {
        kind: 'lease_expired',
        why: `not renewed for ${Math.round(sameMs)} ms, though its holder is heard`,
      };
    }
    // A member that was cut off itself hears one member before the others.
    const missedMs = Math.min(silentMs, nowMs - this.#hearsSinceMs);
    const patienceMs = Math.max(leaseMs * STUCK_LEASES, this.dispute.patienceMs(state.holder, nowMs));
    if (missedMs >= patienceMs && this.#hearsMost(nowMs)) {
      return {
        kind: 'cut_off',
        why: `its holder is cut off: not heard for ${Math.round(silentMs)} ms by most members, though it renews`,
      };
    }
    return undefined;
  }

  /** Whether it is this member, or counts as a member. */
  #isKnown(member: string, nowMs: number): boolean {
    const peer = this.peers.get(member);
    return member === this.#self || (peer !== undefined && nowMs - peer.heardMs <= MEMBER_MS);
  }

  /** Whether it has not reported another role. This member also notes its own terms. */
  #mayServe(holder: string): boolean {
    if (holder === this.#self) return false;
    const role = this.peers.get(holder)?.heartbeat.role;
    return role === undefined || role === 'active';
  }

  /** Forgets processes that died long ago without a goodbye. They would pile up, since each start is another member. */
  #forgetFormer(nowMs: number): void {
    for (const [member, { heardMs }] of this.peers) {
      if (nowMs - heardMs > MEMBER_MS && member !== this.#state?.holder) this.peers.delete(member);
    }
    if (this.peers.size >= MAX_PEERS) this.#forgetOldest();
  }

  /** Forgets the process that was heard longest ago, but not the holder of the lease. */
  #forgetOldest(): void {
    let oldest: Peer | undefined;
    for (const peer of this.peers.values()) {
      const isHolder = peer.heartbeat.member === this.#state?.holder;
      if (!isHolder && (oldest === undefined || peer.heardMs < oldest.heardMs)) oldest = peer;
    }
    if (oldest !== undefined) this.peers.delete(oldest.heartbeat.member);
  }

  /** More than half of the recent members, including this one and the silent holder. */
  #hearsMost(nowMs: number): boolean {
    const { holder } = must(this.#state, 'a lease that is judged has been seen');
    // This member is not among its own peers, so it is added.
    let all = this.peers.has(holder) ? 1 : 2;
    let heard = 1;
    for (const [member, peer] of this.peers) {
      const silentMs = nowMs - peer.heardMs;
      const isHeard = silentMs < this.#leaseMs;
      if (member !== holder && (silentMs > MEMBER_MS || (!isHeard && this.#hasComeBack(peer)))) {
        this.peers.delete(member);
        continue;
      }
      all++;
      if (isHeard) heard++;
    }
    return heard * 2 > all;
  }

  /** Forgets a killed process whose node has been restarted: only the new process counts. */
  #hasComeBack({ heartbeat: { member, node }, heardMs }: Peer): boolean {
    for (const { heartbeat, heardMs: laterMs } of this.peers.values()) {
      if (heartbeat.node === node && heartbeat.member !== member && laterMs > heardMs) return true;
    }
    return false;
  }
}

/** Whether one renewal of a store is earlier than another. */
function isOlder(one: Renewal, other: Renewal): boolean {
  if (one.epoch !== other.epoch) return one.epoch < other.epoch;
  return (one.counter ?? 0) < (other.counter ?? 0);
}
