import {
  BelievedTime,
  CLOCK_TOLERANCE_MS,
  type ClockVerdict,
  nanoseconds,
  seconds,
} from '../../clock/believed-time.js';
import type { Clock } from '../../clock/clock.js';
import type { Logger } from '../../log/logger.js';
import type { ContinuedTime } from '../../store/types/store-time.js';
import type { Heartbeat } from './group-messages.js';

/** Members whose clocks are remembered at a time. */
const MAX_PEERS = 64;
/** How long a member's word about its clock counts. */
const HEARD_MS = 10_000;

/** The times in a heartbeat. */
export type HeartbeatTimes = Pick<Heartbeat, 'wallMs' | 'storeMs' | 'storeLeadMs'>;

interface PeerClock {
  readonly node: string;
  /** How far it is ahead of the time that this member believes; negative if behind. */
  readonly aheadMs: number;
  readonly heardMs: number;
}

/**
 * The clocks of a group's members, as one member knows them. They decide only whether a clock that has jumped is believed, and where the
 * store's own time goes on after a takeover. A wrong clock deletes nothing earlier.
 */
export class GroupClocks {
  /** The time that this member believes, from its own machine's clock. */
  readonly believed: BelievedTime;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #peers = new Map<string, PeerClock>();
  /** The nodes whose clocks differ from this one, according to the log. */
  readonly #apart = new Set<string>();
  /** The store's own time, from its active, or from a member that has it from an active. */
  #store: { epoch: number; ms: number; leadMs: number; heardMs: number; isFirstHand: boolean } | undefined;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
    const warn = (message: string): void => log.warn({}, message);
    this.believed = new BelievedTime({ clock, warn, verdict: () => this.#verdict() });
  }

  /** Call this with each heartbeat of this member, which has the times too. */
  look(): void {
    this.believed.look();
    const nowMs = this.#clock.monotonicMs();
    for (const [member, { heardMs }] of this.#peers)
      if (nowMs - heardMs > HEARD_MS) this.#peers.delete(member);
    const apart = new Map(this.#apartNow().map((peer) => [peer.node, peer]));
    for (const node of this.#apart) {
      if (apart.has(node)) continue;
      this.#apart.delete(node);
      if ([...this.#peers.values()].some((peer) => peer.node === node))
        this.#log.info({ other: node }, `the clocks of this machine and of node ${node} are in step again`);
    }
    for (const [node, peer] of apart) {
      if (this.#apart.has(node)) continue;
      this.#apart.add(node);
      const { aheadMs } = peer;
      this.#log.warn(
        { other: node, aheadSeconds: Math.round(aheadMs / 1e3) },
        `${apartText(peer)}. Limits on age and start times do not suffer; the times in messages are those of the active's clock. ` +
          'Compare the clocks of all members (timedatectl, or date -u)',
      );
    }
  }

  /** Notes the times in a heartbeat of another member. */
  heard({ member, node, role, epoch, wallMs, storeMs, storeLeadMs }: Heartbeat): void {
    const heardMs = this.#clock.monotonicMs();
    this.believed.look();
    const hasRoom = this.#peers.has(member) || this.#peers.size < MAX_PEERS;
    if (wallMs !== undefined && hasRoom)
      this.#peers.set(member, { node, aheadMs: wallMs - this.believed.ms, heardMs });
    if (storeMs === undefined || storeLeadMs === undefined) return;
    const known = this.#store;
    const isFirstHand = role === 'active';
    if (known !== undefined && (epoch < known.epoch || (known.isFirstHand && !isFirstHand))) return;
    this.#store = { epoch, ms: storeMs, leadMs: storeLeadMs, heardMs, isFirstHand };
  }

  /** Notes the store's own time while this member is active. */
  serves(epoch: number, storeNs: bigint): void {
    const ms = Number(storeNs / 1_000_000n);
    const heardMs = this.#clock.monotonicMs();
    this.#store = { epoch, ms, leadMs: ms - this.believed.ms, heardMs, isFirstHand: true };
  }

  /** The times for a heartbeat. A standby sends the store's time too: a member that has just started may be the next active. */
  times(): HeartbeatTimes {
    const store = this.continued();
    const storeMs = store && Number(store.ns / 1_000_000n);
    return { wallMs: this.believed.ms, storeMs, storeLeadMs: store?.leadMs };
  }

  left(member: string): void {
    this.#peers.delete(member);
  }

  /** The store's own time now, from the last word of an active and the time since. Undefined if there was none. */
  continued(): ContinuedTime | undefined {
    if (this.#store === undefined) return undefined;
    const { ms, leadMs, heardMs } = this.#store;
    return { ns: nanoseconds(ms + this.#clock.monotonicMs() - heardMs), leadMs };
  }

  /** The largest difference between the clock of this member and that of another one. */
  get apartMs(): number {
    return Math.max(0, ...[...this.#peers.values()].map(({ aheadMs }) => Math.abs(aheadMs)));
  }

  /** The problems of the clocks, for people. */
  get problems(): string[] {
    const own = this.believed.problem;
    const others = this.#apartNow().map(
      (peer) => `${apartText(peer)}. Compare them (timedatectl, or date -u)`,
    );
    return own === undefined ? others : [own, ...others];
  }

  #apartNow(): PeerClock[] {
    return [...this.#peers.values()].filter(({ aheadMs }) => Math.abs(aheadMs) > CLOCK_TOLERANCE_MS);
  }

  /** Judges this machine's clock, which has jumped forward, by whether the clocks of other members agree with it. */
  #verdict(): ClockVerdict {
    const { doubtMs } = this.believed;
    let like = 0;
    let unlike = 0;
    for (const { aheadMs } of this.#peers.values()) {
      if (Math.abs(aheadMs - doubtMs) <= CLOCK_TOLERANCE_MS) like++;
      else if (Math.abs(aheadMs) <= CLOCK_TOLERANCE_MS) unlike++;
    }
    if (like > unlike) return 'right';
    return unlike > 0 ? 'wrong' : undefined;
  }
}

function apartText({ node, aheadMs }: PeerClock): string {
  const side = aheadMs > 0 ? 'ahead of' : 'behind';
  return `the clock of node ${node} is ${seconds(Math.abs(aheadMs))} ${side} that of this machine`;
}
