import type { Logger } from '../../log/logger.js';
import type { TakeoverHistory } from '../report/takeover-history.js';
import { logOtherTakeover } from '../report/takeover-log.js';
import type { GroupMessage, Heartbeat } from '../talk/group-messages.js';
import type { LeaseWatch } from '../watch/lease-watch.js';
import type { TwinHosts } from '../watch/twin-hosts.js';
import type { Active } from './active.js';
import type { MemberParts } from './member-parts.js';
import type { Pause } from './pause.js';
import type { Presence } from './presence.js';
import type { Standby } from './standby.js';
import type { StoreCheck } from './store-check.js';

/** Least time between two looks that claims cause: anyone can claim. */
const CLAIM_LOOK_MS = 100;

export interface HearingOptions {
  parts: MemberParts;
  watch: LeaseWatch;
  twins: TwinHosts;
  pause: Pause;
  presence: Presence;
  store: StoreCheck;
  standby: Standby;
  active: Active;
  history: TakeoverHistory;
  /** Sees to work that nothing waits for. */
  inBackground: (work: Promise<void>) => void;
}

/** What a member does with the messages on the group's subject: those of its group, its own, and those of anyone. */
export class Hearing {
  readonly #options: HearingOptions;
  readonly #log: Logger;
  #claimLookMs = Number.NEGATIVE_INFINITY;

  constructor(options: HearingOptions) {
    this.#options = options;
    this.#log = options.parts.log;
  }

  said(payload: Uint8Array): void {
    const { parts, presence, store } = this.#options;
    const said = parts.talk.decode(payload);
    switch (said?.by) {
      case 'group':
        this.#heardFrom(said.message);
        return;
      case 'own':
        if (said.message.kind === 'heartbeat') presence.heardItself();
        return;
      case 'claim':
        store.claimed(said.heartbeat);
        if (said.heartbeat.storeId !== '') this.#lookForStore();
        return;
    }
  }

  /** Looks now, since the group may have a store, and its key, which proves to the others that this member belongs to them. */
  #lookForStore(): void {
    const { parts, presence, pause } = this.#options;
    const nowMs = parts.clock.monotonicMs();
    if (presence.role !== 'standby' || nowMs - this.#claimLookMs < CLAIM_LOOK_MS) return;
    this.#claimLookMs = nowMs;
    pause.wake();
  }

  /** Another member of this group has said it. */
  #heardFrom(message: GroupMessage): void {
    const { parts, watch, pause, standby, active, inBackground } = this.#options;
    switch (message.kind) {
      case 'heartbeat':
        this.#heartbeat(message);
        return;
      case 'offer':
        if (active.hang === undefined) inBackground(standby.answerOffer(message.epoch));
        return;
      case 'ready':
        active.standbyIsReady(message.member, message.epoch);
        return;
      case 'released':
        standby.lookFresh();
        pause.wake();
        return;
      case 'leaving':
        watch.left(message.member);
        parts.clocks.left(message.member);
        return;
    }
  }

  #heartbeat(heartbeat: Heartbeat): void {
    const { parts, watch, twins, store, active, history } = this.#options;
    const { clock, clocks } = parts;
    const { term } = active;
    const mismatch = store.heard(heartbeat, term !== undefined);
    if (mismatch !== undefined) term?.end({ kind: 'failed', why: mismatch });
    watch.heard(heartbeat, clock.monotonicMs());
    clocks.heard(heartbeat);
    twins.heard(heartbeat.member);
    const { role, epoch, node, forMs, story: timeline } = heartbeat;
    if (role !== 'active') return;
    const news =
      timeline === undefined
        ? history.addSeen(epoch, node, Number(clock.wallNs() / 1_000_000n) - forMs)
        : history.add(timeline);
    if (news !== undefined) logOtherTakeover(this.#log, news);
  }
}
