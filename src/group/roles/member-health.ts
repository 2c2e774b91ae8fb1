import type { ServiceProblem } from '../../broker/check/service-problem.js';
import type { MemberProblem } from '../report/member-problem.js';
import type { Heartbeat } from '../talk/group-messages.js';
import type { LeaseWatch } from '../watch/lease-watch.js';
import type { TwinHosts } from '../watch/twin-hosts.js';
import type { Active } from './active.js';
import type { MemberParts } from './member-parts.js';
import type { Presence } from './presence.js';
import type { Standby } from './standby.js';

/** Much longer than a takeover takes. */
const UNSERVED_MS = 10_000;

export interface MemberHealthOptions {
  parts: MemberParts;
  watch: LeaseWatch;
  presence: Presence;
  standby: Standby;
  active: Active;
  problem: MemberProblem;
  twins: TwinHosts;
}

/** Says whether a member does its part: what keeps it from that, what keeps clients from being served, and what is impaired. */
export class MemberHealth {
  readonly #options: MemberHealthOptions;
  #sinceMs = 0;

  constructor(options: MemberHealthOptions) {
    this.#options = options;
  }

  /** The member has begun to watch, by the clock's monotonic milliseconds. */
  watchesSince(nowMs: number): void {
    this.#sinceMs = nowMs;
  }

  /** What keeps it from doing its part, for people. */
  get problem(): string | undefined {
    return this.cannotServe ?? this.#unserved;
  }

  /** Why clients cannot be served through this member's transport in NATS, or not as they should be. */
  get serviceProblem(): ServiceProblem | undefined {
    return this.#options.parts.serviceProblem?.();
  }

  /** What keeps it from doing its part, or clients from being served as they should be. */
  get complaint(): string | undefined {
    return this.problem ?? this.serviceProblem?.text;
  }

  /** Another group has the store, for people; undefined while none has. */
  get otherGroup(): string | undefined {
    return this.#options.presence.role === 'standby' ? this.#options.standby.otherGroup : undefined;
  }

  /** What is not as it should be, though it does its part as well as it can. */
  get impairments(): string[] {
    const problem = this.serviceProblem;
    const found = problem?.isOwn === false ? [problem.text] : [];
    found.push(...this.#options.parts.clocks.problems);
    const twins = this.#options.twins.problem;
    if (twins !== undefined) found.push(twins);
    if (this.otherGroup !== undefined) found.push(this.otherGroup);
    const { talkRefusal } = this.#options.presence;
    if (talkRefusal !== undefined) found.push(talkRefusal);
    const ignored = this.#options.parts.talk.ignored.problem;
    if (ignored !== undefined) found.push(ignored);
    return found;
  }

  /** The problem that no member serves and that this one has not taken over, for whatever reason. */
  get #unserved(): string | undefined {
    const { clock } = this.#options.parts;
    if (this.#options.presence.role !== 'standby') return undefined;
    const nowMs = clock.monotonicMs();
    const silentMs = nowMs - Math.max(this.#options.watch.signMs ?? 0, this.#sinceMs);
    if (silentMs < UNSERVED_MS) return undefined;
    const why = this.#complaintsOf([...this.#options.watch.heardWithin(UNSERVED_MS, nowMs)]);
    return [`no member of the group has served for ${Math.round(silentMs / 1_000)} s`, ...why].join('. ');
  }

  /** The problem for heartbeats, without those of all members, such as that no member serves. */
  get cannotServe(): string | undefined {
    const problem = this.serviceProblem;
    const own = problem?.isOwn === true ? problem.text : undefined;
    return own ?? this.#options.standby.hang ?? this.#options.active.hang ?? this.#options.problem.text;
  }

  /** Why there is no standby to hand over to. */
  get whyNoStandby(): string {
    const { clock, options } = this.#options.parts;
    const heard = [...this.#options.watch.heardWithin(options.leaseMs, clock.monotonicMs())];
    const unable = this.#complaintsOf(heard.filter(({ role }) => role === 'standby'));
    return unable.length === 0
      ? 'there is no standby'
      : `there is no standby that could serve. ${unable.join('. ')}`;
  }

  /** What members say that keeps them from serving. */
  #complaintsOf(heard: readonly Heartbeat[]): string[] {
    return heard
      .filter(({ cannotServe }) => cannotServe !== undefined)
      .map(({ node, cannotServe }) => `${node} says: ${cannotServe}`);
  }
}
