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

/** What a member said of its clock counts for so long. */
const HEARD_MS = 10_000;

/** What a heartbeat tells of time. */
export type ToldTime = Pick<Heartbeat, 'wallMs' | 'storeMs' | 'storeLeadMs'>;

interface ToldClock {
  readonly node: string;
  /** Of the time that this member believes. Behind it if negative. */
  readonly aheadMs: number;
  readonly heardMs: number;
}

/**
 * What the members of a group know of each other's clocks. Nothing is decided by it but whether a clock that has jumped is believed,
 * and that the store's own time goes on from where the active before had it: with a wrong one, nothing is deleted earlier.
 */
export class GroupClocks {
  /** What this member believes of its own machine's clock. */
  readonly believed: BelievedTime;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #told = new Map<string, ToldClock>();
  /** Nodes whose clocks are apart from this one, as the log has it. */
  readonly #apart = new Set<string>();
  /** The store's own time, as its active told of it, or as others have it from an active. */
  #store: { epoch: number; ms: number; leadMs: number; heardMs: number; isFirstHand: boolean } | undefined;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
    const warn = (message: string): void => log.warn({}, message);
    this.believed = new BelievedTime({ clock, warn, verdict: () => this.#verdict() });
  }

  /** To be called with each heartbeat of this member's own, which tells of the time too. */
  look(): void {
    this.believed.look();
    const nowMs = this.#clock.monotonicMs();
    for (const [member, { heardMs }] of this.#told) if (nowMs - heardMs > HEARD_MS) this.#told.delete(member);
    const apart = new Map(this.#apartNow().map((told) => [told.node, told]));
    for (const node of this.#apart) {
      if (apart.has(node)) continue;
      this.#apart.delete(node);
      if ([...this.#told.values()].some((told) => told.node === node))
        this.#log.info({ other: node }, `the clocks of this machine and of node ${node} are in step again`);
    }
    for (const [node, told] of apart) {
      if (this.#apart.has(node)) continue;
      this.#apart.add(node);
      const { aheadMs } = told;
      this.#log.warn(
        { other: node, aheadSeconds: Math.round(aheadMs / 1e3) },
        `${apartText(told)}. Limits on age and start times do not suffer; the times in messages are those of the active's clock. ` +
          'Compare the clocks of all members (timedatectl, or date -u)',
      );
    }
  }

  /** What another member tells. */
  heard({ member, node, role, epoch, wallMs, storeMs, storeLeadMs }: Heartbeat): void {
    const heardMs = this.#clock.monotonicMs();
    this.believed.look();
    if (wallMs !== undefined) this.#told.set(member, { node, aheadMs: wallMs - this.believed.ms, heardMs });
    if (storeMs === undefined || storeLeadMs === undefined) return;
    const known = this.#store;
    const isFirstHand = role === 'active';
    if (known !== undefined && (epoch < known.epoch || (known.isFirstHand && !isFirstHand))) return;
    this.#store = { epoch, ms: storeMs, leadMs: storeLeadMs, heardMs, isFirstHand };
  }

  /** This member is active, and its store's own time is this. */
  terms(epoch: number, storeNs: bigint): void {
    const ms = Number(storeNs / 1_000_000n);
    const heardMs = this.#clock.monotonicMs();
    this.#store = { epoch, ms, leadMs: ms - this.believed.ms, heardMs, isFirstHand: true };
  }

  /** What this member tells others. A standby tells of the store too: a member that has just started may be the next active. */
  told(): ToldTime {
    const store = this.continued();
    const storeMs = store && Number(store.ns / 1_000_000n);
    return { wallMs: this.believed.ms, storeMs, storeLeadMs: store?.leadMs };
  }

  left(member: string): void {
    this.#told.delete(member);
  }

  /** The store's own time now, by what its last active told and what has passed since. Undefined if none told. */
  continued(): ContinuedTime | undefined {
    if (this.#store === undefined) return undefined;
    const { ms, leadMs, heardMs } = this.#store;
    return { ns: nanoseconds(ms + this.#clock.monotonicMs() - heardMs), leadMs };
  }

  /** How far the clocks of this member and of the one that is farthest off are apart. */
  get apartMs(): number {
    return Math.max(0, ...[...this.#told.values()].map(({ aheadMs }) => Math.abs(aheadMs)));
  }

  /** What is wrong with the clocks, for people. */
  get problems(): string[] {
    const own = this.believed.problem;
    const others = this.#apartNow().map(
      (told) => `${apartText(told)}. Compare them (timedatectl, or date -u)`,
    );
    return own === undefined ? others : [own, ...others];
  }

  #apartNow(): ToldClock[] {
    return [...this.#told.values()].filter(({ aheadMs }) => Math.abs(aheadMs) > CLOCK_TOLERANCE_MS);
  }

  /** Of this machine's clock, which has jumped forward: others' clocks have done so too, or have not. */
  #verdict(): ClockVerdict {
    const { doubtMs } = this.believed;
    let like = 0;
    let unlike = 0;
    for (const { aheadMs } of this.#told.values()) {
      if (Math.abs(aheadMs - doubtMs) <= CLOCK_TOLERANCE_MS) like++;
      else if (Math.abs(aheadMs) <= CLOCK_TOLERANCE_MS) unlike++;
    }
    if (like > unlike) return 'right';
    return unlike > 0 ? 'wrong' : undefined;
  }
}

function apartText({ node, aheadMs }: ToldClock): string {
  const side = aheadMs > 0 ? 'ahead of' : 'behind';
  return `the clock of node ${node} is ${seconds(Math.abs(aheadMs))} ${side} that of this machine`;
}
