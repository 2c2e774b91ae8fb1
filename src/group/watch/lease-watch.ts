import { type LeaseState, RELEASED, sameLease } from '../../lease/lease.js';
import { STUCK_LEASES } from '../../lease/renewal-rules.js';
import { must } from '../../util/assert.js';
import type { Heartbeat } from '../talk/group-messages.js';
import type { TakeoverReason } from '../talk/takeover-timeline.js';
import { Dispute } from './dispute.js';

/** Why the lease may be taken. */
export interface Opportunity {
  kind: TakeoverReason;
  /** For people. */
  why: string;
}

/** A term at one of its renewals. */
interface Active_ {
  readonly epoch: number;
  readonly counter?: number | undefined;
}

/** What the store must have come to: as its active has said, or as this member itself has found or left it. */
export type Ahead = Heartbeat | LeaseState;

interface Peer {
  heartbeat: Heartbeat;
  heardMs: number;
}

/** Another member, and how long ago it said this. */
export interface Lately {
  readonly heartbeat: Heartbeat;
  readonly silentMs: number;
}

/** Of the lease: how long a holder is not heard before a standby gets ready, just in case. */
const SUSPICION = 0.55;
/** How long a member that is not heard counts as a member. */
const MEMBER_MS = 10 * 60_000;
/** So many at most are told of to who asks for them. */
const MAX_LATELY = 32;
/** Leases without a word of anybody after which this member itself was cut off. Fewer than make a holder count as cut off. */
const DEAF_LEASES = 3;

/**
 * What a standby knows of the lease and of the other members, and what it makes of it. Nothing here is a matter of safety: a
 * wrong conclusion makes an innocent active a standby, no more. All times are the clock's monotonic milliseconds.
 */
export class LeaseWatch {
  readonly peers = new Map<string, Peer>();
  readonly dispute: Dispute;
  readonly #self: string;
  readonly #leaseMs: number;
  #state: LeaseState | undefined;
  /** End of the first look that saw this state. */
  #sinceMs = 0;
  /** Begin of the last look that saw it. */
  #untilMs = 0;
  /** The holder of the state, as it was heard. */
  #heardMs: number;
  /** The last word of any other member, and since when there was no long silence. */
  #anyHeardMs: number;
  #hearsSinceMs: number;
  #signMs: number | undefined;
  #active: string | undefined;
  #isDead = false;
  /** What an active member has said of its term, last, and when the present look began. */
  #saidLast: Heartbeat | undefined;
  #saidBefore: Heartbeat | undefined;
  /** The newest that was found in the store, or that this member has made of it. */
  #known: LeaseState | undefined;
  /** Begin of the first look that found less than all that. */
  #behindMs: number | undefined;

  constructor(self: string, leaseMs: number, nowMs: number) {
    this.#self = self;
    this.#leaseMs = leaseMs;
    this.dispute = new Dispute(leaseMs);
    this.#heardMs = this.#anyHeardMs = this.#hearsSinceMs = nowMs;
  }

  get state(): LeaseState | undefined {
    return this.#state;
  }

  /** When somebody was last seen to serve, by a heartbeat or a renewal; undefined if nobody ever was. */
  get signMs(): number | undefined {
    return this.#signMs;
  }

  /** The member that was last seen to serve; undefined if none ever was. */
  get active(): string | undefined {
    return this.#active;
  }

  /** What is known to have been made of the store, of which this member sees less, and no look explains it yet. */
  get aheadOfStore(): Ahead | undefined {
    const state = this.#state;
    if (this.#behindMs === undefined || state === undefined) return undefined;
    const said = this.#saidBefore;
    return said !== undefined && isOlder(state, said) ? said : this.#known;
  }

  /** That has been so for longer than a mount remembers things: what this one sees is not the store of its group. */
  isAstray(nowMs: number): boolean {
    return this.#behindMs !== undefined && nowMs - this.#behindMs >= this.#leaseMs * STUCK_LEASES;
  }

  /** A sign that a member serves. This one is told of its own term too. */
  sawServe(member: string, nowMs: number): void {
    this.#active = member;
    this.#signMs = nowMs;
  }

  /** A look begins: whatever was said before it must be in what it finds. */
  looks(): void {
    // What was not found stays the question until it is: the active says more every moment.
    if (this.#behindMs === undefined) this.#saidBefore = this.#saidLast;
  }

  /** The lease as a look that took from `begunMs` to `endedMs` found it. @param isDead the holder's process is gone */
  saw(state: LeaseState, isDead: boolean, begunMs: number, endedMs: number): void {
    if (this.#state === undefined || !sameLease(this.#state, state)) {
      // The holder of another term has not been heard yet: it has the lease to show itself.
      if (this.#state?.epoch !== state.epoch || this.#state.holder !== state.holder)
        this.#heardMs = Math.max(this.#heardMs, begunMs);
      if (state.holder !== RELEASED)
        this.dispute.passed(state.epoch, state.holder, this.#isKnown(state.holder, endedMs), endedMs);
      // The first look may find what is years old.
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
   * This member has held the lease, and left it like this or later. Nobody tells it of its own terms, and whoever put an old
   * copy in the place of the store has ended the last one: its name is gone.
   */
  held(state: LeaseState): void {
    this.#know(state);
  }

  #know(state: LeaseState): void {
    if (this.#known === undefined || isOlder(this.#known, state)) this.#known = state;
  }

  /** This member has taken the lease. */
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

  /** What other members were heard to do within the last `withinMs`. */
  *heardWithin(withinMs: number, nowMs: number): IterableIterator<Heartbeat> {
    for (const { heartbeat, heardMs } of this.peers.values()) {
      if (nowMs - heardMs <= withinMs) yield heartbeat;
    }
  }

  /**
   * Other members of the last minutes, also those that fell silent, the last one heard first. Who said goodbye, or was started
   * again since, is not among them.
   */
  lately(nowMs: number): Lately[] {
    return [...this.peers.values()]
      .filter((peer) => nowMs - peer.heardMs <= MEMBER_MS && !this.#hasComeBack(peer))
      .map(({ heartbeat, heardMs }) => ({ heartbeat, silentMs: nowMs - heardMs }))
      .sort((a, b) => a.silentMs - b.silentMs)
      .slice(0, MAX_LATELY);
  }

  /** It has said goodbye, for its node. */
  left(member: string): void {
    const gone = this.peers.get(member);
    if (gone === undefined) return;
    // A former process of the node, which was killed, would count as missing again.
    for (const [other, { heartbeat, heardMs }] of this.peers) {
      if (heartbeat.node === gone.heartbeat.node && heardMs <= gone.heardMs) this.peers.delete(other);
    }
  }

  /** The standbys that are there, and could take over and serve. */
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

  /** It is time to listen to publishers, and to look at the store past its mount's memory. */
  isSuspicious(nowMs: number): boolean {
    const state = this.#state;
    if (state === undefined || state.holder === this.#self) return false;
    return (
      state.holder === RELEASED ||
      this.#isDead ||
      this.#behindMs !== undefined ||
      nowMs - this.#heardMs > this.#leaseMs * SUSPICION
    );
  }

  /** Whether the last look found something that may be taken. */
  judge(nowMs: number): Opportunity | undefined {
    const state = this.#state;
    if (state === undefined) return undefined;
    // A copy of the store, perhaps: its term is nobody's to take while another one's is alive.
    if (this.#behindMs !== undefined) return undefined;
    if (state.holder === RELEASED) {
      return state.epoch === 0
        ? { kind: 'first', why: 'nobody has ever had it' }
        : { kind: 'handover', why: 'it was given back' };
    }
    if (state.holder === this.#self)
      return { kind: 'lease_expired', why: 'it was left behind by this member' };
    if (this.#isDead) return { kind: 'process_died', why: 'the process that holds it has died' };
    const leaseMs = this.#leaseMs;
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
    // Who comes back from its own side of a cut hears one member before the other.
    const missedMs = Math.min(silentMs, nowMs - this.#hearsSinceMs);
    if (missedMs >= this.dispute.patienceMs(state.holder, nowMs) && this.#hearsMost(nowMs)) {
      return {
        kind: 'cut_off',
        why: `its holder is cut off: not heard for ${Math.round(silentMs)} ms by most members, though it renews`,
      };
    }
    return undefined;
  }

  /** It is this member, or counts as one. */
  #isKnown(member: string, nowMs: number): boolean {
    const peer = this.peers.get(member);
    return member === this.#self || (peer !== undefined && nowMs - peer.heardMs <= MEMBER_MS);
  }

  /** It has not said that it does something else. Of its own terms this member is told. */
  #mayServe(holder: string): boolean {
    if (holder === this.#self) return false;
    const role = this.peers.get(holder)?.heartbeat.role;
    return role === undefined || role === 'active';
  }

  /** Processes that died without a word, long ago. Each start of one is another member: else they would pile up. */
  #forgetFormer(nowMs: number): void {
    for (const [member, { heardMs }] of this.peers) {
      if (nowMs - heardMs > MEMBER_MS && member !== this.#state?.holder) this.peers.delete(member);
    }
  }

  /** More than half of the members that there were lately, this one and the silent holder counted. */
  #hearsMost(nowMs: number): boolean {
    const { holder } = must(this.#state, 'a lease that is judged has been seen');
    // This one is not among its peers: nobody tells it of itself.
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

  /** A process that was killed said no goodbye. Its node runs another one since: that one counts, and not both. */
  #hasComeBack({ heartbeat: { member, node }, heardMs }: Peer): boolean {
    for (const { heartbeat, heardMs: laterMs } of this.peers.values()) {
      if (heartbeat.node === node && heartbeat.member !== member && laterMs > heardMs) return true;
    }
    return false;
  }
}

/** Of one store: earlier than. */
function isOlder(one: Active_, other: Active_): boolean {
  if (one.epoch !== other.epoch) return one.epoch < other.epoch;
  return (one.counter ?? 0) < (other.counter ?? 0);
}
