import type { Broker } from '../../broker/broker.js';
import type { FsCalls } from '../../files/fs-calls.js';
import { StoreError } from '../../files/store-error.js';
import { countsOf } from '../../util/counts.js';
import type { Trouble } from '../report/member-problem.js';
import type { TakeoverHistory } from '../report/takeover-history.js';
import { tellTakeover } from '../report/takeover-log.js';
import type { PlaceLink } from '../talk/nats-transport.js';
import { TAKEOVER_REASONS, type TakeoverStory } from '../talk/takeover-timeline.js';
import type { ReignWatch } from '../watch/lease-watch.js';
import type { MemberParts } from './member-parts.js';
import type { Pause } from './pause.js';
import type { Presence } from './presence.js';
import type { Standby } from './standby.js';
import type { StoreCheck } from './store-check.js';
import { type Opening, storyOf } from './takeover-course.js';
import type { Tenure } from './term.js';

/** After a handover: the successor has so long to take what was given. In leases. */
const HANDOVER_LEASES = 3;
/** After a reign that failed by itself, before the next try: it doubles up to the longest. */
const FIRST_PENALTY_MS = 2_000;
const MAX_PENALTY_MS = 60_000;
/** Room comes back at any moment, and nothing else is wrong. */
const NO_ROOM_PENALTY_MS = 2_000;
/** Standbys have so long to say that they listen, or so many leases if that is longer. The active serves meanwhile. */
const READY_MS = 250;
const READY_LEASES = 0.4;

/** How a reign ends: given away, lost to another, or broken off since it could not go on. */
export const REIGN_ENDS = ['handover', 'lost', 'failed'] as const;

export interface ActiveOptions {
  parts: MemberParts;
  watch: ReignWatch;
  presence: Presence;
  pause: Pause;
  standby: Standby;
  store: StoreCheck;
  trouble: Trouble;
  history: TakeoverHistory;
}

/** What a member does with the reign: recovers the store, serves, and steps down or hands over. */
export class Active {
  /** Reigns that it began to serve in. */
  takeovers = 0;
  readonly takeoversBy = countsOf(TAKEOVER_REASONS);
  readonly reignsEnded = countsOf(REIGN_ENDS);
  lastTakeover: TakeoverStory | undefined;
  readonly #options: ActiveOptions;
  #tenure: Tenure | undefined;
  /** Of the last reign's recovery. The reign itself is not kept: its store and broker are all that it was made of. */
  #formerCalls: FsCalls | undefined;
  /** The link that the broker is on. */
  #servedLink: PlaceLink | undefined;
  #notBeforeMs = 0;
  #penaltyMs = FIRST_PENALTY_MS;
  #onReady: ((standby: string) => void) | undefined;

  constructor(options: ActiveOptions) {
    this.#options = options;
  }

  /** The reign that it has, from the rename that won it. */
  get tenure(): Tenure | undefined {
    return this.#tenure;
  }

  /**
   * Others may try first, after a handover or a reign that failed. Who has left a recovery behind that hangs would hang again, and
   * each time there would be a thread less that files are read and written by.
   */
  mayReign(nowMs: number): boolean {
    return nowMs >= this.#notBeforeMs && this.#formerCalls?.oldest === undefined;
  }

  /** Why it cannot reign: what its last recovery asked of the file system has still not ended. */
  get hang(): string | undefined {
    const call = this.#formerCalls?.oldest;
    if (call === undefined || call.silentMs < this.#options.parts.options.leaseMs) return undefined;
    const { operation, path, silentMs } = call;
    return `recovering the store hung: ${operation} of ${path} has not ended for ${Math.round(silentMs)} ms, and no reign is taken before it has`;
  }

  /** From the rename that won it to its end. */
  async reign(tenure: Tenure, opening: Opening): Promise<void> {
    const { parts, watch, presence } = this.#options;
    const { holder, clock } = parts;
    this.#tenure = tenure;
    let hasServed = false;
    try {
      if (presence.isStopping) {
        // It was asked to stop while it took the reign: there was nothing to end yet, and nobody else would.
        await this.#give(tenure);
        return;
      }
      presence.become('recovering');
      hasServed = await this.#begin(tenure, opening);
      await this.#end(tenure);
    } catch (error) {
      await this.#recoveryFailed(tenure, error as Error);
    } finally {
      this.#leaveLink(tenure);
      this.#tenure = undefined;
      this.#formerCalls = tenure.calls;
      watch.held({ epoch: tenure.epoch, counter: tenure.keeper.counter, holder });
      if (hasServed) watch.reigned(holder, clock.monotonicMs());
      if (!presence.isStopping) presence.become('standby');
    }
  }

  /** Recovers the store, and serves. @returns false if the reign has ended before it served. @throws StoreError */
  async #begin(tenure: Tenure, opening: Opening): Promise<boolean> {
    const { parts, store, presence, trouble } = this.#options;
    const { clock, place, options } = parts;
    const opened = await tenure.open();
    if (opened === undefined) return false;
    const { recoveryMs, fenceMs } = opened;
    const recoveredMs = clock.monotonicMs();
    const service = tenure.service!;
    store.storeId = service.storeId;
    if (place.link === undefined) tenure.linkDown('it was lost during the takeover');
    // Links may come and go meanwhile.
    let heard = 0;
    while (!tenure.isEnded && place.link !== undefined && place.link !== this.#servedLink) {
      heard += await this.#serve(place.link);
    }
    if (tenure.isEnded) return false;
    this.#penaltyMs = FIRST_PENALTY_MS;
    const servedMs = clock.monotonicMs();
    const course = {
      epoch: tenure.epoch,
      node: options.nodeName,
      recoveryMs,
      fenceMs,
      servingMs: servedMs - recoveredMs,
      heard,
      servedMs,
      atWallMs: Number(clock.wallNs() / 1_000_000n),
    };
    const story = storyOf(opening, course, service);
    this.#keep(story);
    presence.become('active');
    trouble.served(servedMs);
    tellTakeover(parts.log, story, place.server);
    return true;
  }

  #keep(story: TakeoverStory): void {
    this.takeovers++;
    this.takeoversBy[story.reasonKind]++;
    this.lastTakeover = story;
    this.#options.history.told(story);
  }

  /** Waits for the end, and gives away or breaks off what it has. */
  async #end(tenure: Tenure): Promise<void> {
    const { kind, why } = await tenure.ended;
    this.reignsEnded[kind === 'cut off' ? 'failed' : kind]++;
    const { epoch } = tenure;
    this.#options.parts.log.warn({ epoch, reason: why }, `the reign of epoch ${epoch} ends: ${why}`);
    if (kind === 'handover') await this.#give(tenure);
    else await tenure.breakOff(kind !== 'lost');
    if (kind === 'failed') this.#punish();
  }

  async #recoveryFailed(tenure: Tenure, error: Error): Promise<void> {
    const { parts, trouble } = this.#options;
    parts.log.error({ epoch: tenure.epoch, reason: error.message }, 'the store could not be recovered');
    const code = error instanceof StoreError ? error.code : undefined;
    const isLost = code === 'lost';
    this.reignsEnded[isLost ? 'lost' : 'failed']++;
    await tenure.breakOff(!isLost);
    trouble.cannotTakeOver(error.message);
    if (code === 'no-space') this.#pauseFor(NO_ROOM_PENALTY_MS);
    else this.#punish();
  }

  /** Lets the standbys listen first, any of which may be next, then gives everything: clients notice nothing but a short wait. */
  async #give(tenure: Tenure): Promise<void> {
    const { parts, watch, presence, pause } = this.#options;
    const { clock, place, holder, log, options } = parts;
    const begunMs = clock.monotonicMs();
    const { service, epoch } = tenure;
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
    const isGiven = await tenure.handOver(place.link);
    if (isGiven) presence.say({ kind: 'released', member: holder, epoch });
    this.#pauseFor(options.leaseMs * HANDOVER_LEASES);
    log.info({ epoch, tookMs: Math.round(clock.monotonicMs() - begunMs) }, 'the reign has been given back');
  }

  /** A standby listens, as it was offered. */
  standbyIsReady(standby: string, epoch: number): void {
    if (epoch === this.#tenure?.epoch) this.#onReady?.(standby);
  }

  #punish(): void {
    this.#pauseFor(this.#penaltyMs);
    this.#penaltyMs = Math.min(MAX_PENALTY_MS, this.#penaltyMs * 2);
  }

  /** Others may try meanwhile. */
  #pauseFor(ms: number): void {
    this.#notBeforeMs = this.#options.parts.clock.monotonicMs() + ms;
  }

  /** The broker that serves on the present link; undefined while none does. */
  get servingBroker(): Broker | undefined {
    const { place } = this.#options.parts;
    const isServing = this.#options.presence.role === 'active' && place.link !== undefined;
    return isServing && place.link === this.#servedLink ? this.#tenure?.service?.broker : undefined;
  }

  linkUp(link: PlaceLink): void {
    this.#tenure?.linkUp();
    if (this.#options.presence.role === 'active') void this.#serve(link);
  }

  linkDown(reason: string): void {
    this.#servedLink = undefined;
    this.#tenure?.service?.broker.linkDown();
    this.#tenure?.linkDown(reason);
  }

  /** The broker serves on this link; what was heard before goes to it first. @returns how many messages that were */
  async #serve(link: PlaceLink): Promise<number> {
    const tenure = this.#tenure;
    const broker = tenure?.service?.broker;
    if (tenure === undefined || broker === undefined || tenure.isEnded) return 0;
    const listening = this.#options.standby.takeListening(link);
    this.#servedLink = link;
    const up = broker.linkUp(link, listening?.sids);
    const count = listening?.replay(broker) ?? 0;
    // If it goes down meanwhile, the next link brings the next try.
    await up.catch(() => {});
    return count;
  }

  #leaveLink({ service }: Tenure): void {
    const { link } = this.#options.parts.place;
    if (link !== undefined && link === this.#servedLink) {
      for (const sid of service?.broker.sids ?? []) link.unsubscribe(sid);
    }
    this.#servedLink = undefined;
  }
}
