// A drill: faults of the active, one after the other, under load, and the check of what clients noticed.

import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/transport-node';
import type { MemberStatus } from '../group/report/member-status.js';
import { reachNats } from '../nats/reach.js';
import { must } from '../util/assert.js';
import type { DrillGroup } from './drill-group.js';
import type { DrillOptions, FaultKind } from './drill-options.js';
import { Faults } from './faults.js';
import { Load } from './load.js';
import { LocalDrillGroup } from './local-drill-group.js';
import { type DrillReport, makeReport } from './report.js';
import { RunningDrillGroup } from './running-drill-group.js';
import type { Takeover } from './takeover.js';
import { GroupError, GroupView, wholeGroup } from './watched-group.js';

/** Shows the progress of the drill. */
export type OnProgress = (text: string) => void;

/** Time between two checks whether an outage is over. */
const LOOK_MS = 5;

/**
 * Makes the active of a group fail, again and again under load, and finds out what clients noticed and whether messages are missing.
 *
 * @param signal ends the drill early; the report then has what was found until then
 * @returns undefined if the drill was ended before it had begun
 * @throws ConfigError if the options do not fit the group; Error if there is no group
 */
export async function drill(
  options: DrillOptions,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<DrillReport | undefined> {
  const { target, plan } = options;
  if (target.kind === 'local') onProgress(`starting a group of ${target.nodes}`);
  const group =
    target.kind === 'local'
      ? await LocalDrillGroup.start(target)
      : await RunningDrillGroup.find(target, plan);
  const run = new DrillRun(options, group, onProgress, signal);
  let hasFailed = true;
  try {
    const report = await run.run();
    hasFailed = report?.verdict === 'failed';
    return report;
  } catch (error) {
    if (signal.aborted && !run.hasBegun) return undefined;
    throw error;
  } finally {
    await run.close();
    const files = await group.close(run.active, hasFailed && !signal.aborted);
    if (files !== undefined) onProgress(`the store and the logs are in ${files}`);
  }
}

/** One drill on one group. */
class DrillRun {
  /** Node of the last known active. */
  active: string | undefined;
  /** Whether there is something to report. */
  hasBegun = false;
  readonly #options: DrillOptions;
  readonly #group: DrillGroup;
  readonly #onProgress: OnProgress;
  readonly #signal: AbortSignal;
  readonly #takeovers: Takeover[] = [];
  /** The kind of fault of each phase; undefined before the first fault. */
  readonly #phases: (FaultKind | undefined)[] = [undefined];
  #nats: NatsConnection | undefined;
  #load: Load | undefined;
  #view!: GroupView;
  #faults!: Faults;

  constructor(options: DrillOptions, group: DrillGroup, onProgress: OnProgress, signal: AbortSignal) {
    this.#options = options;
    this.#group = group;
    this.#onProgress = onProgress;
    this.#signal = signal;
  }

  async run(): Promise<DrillReport> {
    const { clusterId, discoverPrefix, name, nats, memberCount } = this.#group;
    const { messages, rate, settleMs } = this.#options;
    const signal = this.#signal;
    this.#nats = await reachNats({ ...nats, maxReconnectAttempts: -1 });
    this.#view = new GroupView(this.#nats, clusterId, name, () => this.#group.groupKey());
    this.#faults = new Faults(this.#group, this.#nats);
    const first = await this.#whole();
    const load = await Load.connect({ nats, clusterId, discoverPrefix, rate });
    this.#load = load;
    this.hasBegun = true;

    const failures: string[] = [];
    try {
      await load.preload(
        messages,
        (acked) => this.#onProgress(`storing: ${acked} of ${messages} messages`),
        signal,
      );
      load.start();
      await this.#pass(settleMs);
      await this.#injectAll();
    } catch (error) {
      if (!signal.aborted) failures.push(failureText(error));
    }
    const last = await this.#view.members();
    const epoch = Math.max(first.epoch, ...last.map((member) => member.epoch));
    let isChecked = false;
    try {
      this.#onProgress('reading back all stored messages');
      await load.finish();
      isChecked = true;
    } catch (error) {
      failures.push(failureText(error));
    }
    return makeReport({
      options: this.#options,
      clusterId,
      group: name,
      members: memberCount,
      load,
      phases: this.#phases,
      takeovers: this.#takeovers,
      epochs: { first: first.epoch, last: epoch },
      isInterrupted: signal.aborted,
      isChecked,
      failures,
    });
  }

  async close(): Promise<void> {
    await this.#load?.close();
    await this.#nats?.close();
  }

  get #running(): Load {
    return must(this.#load, 'faults are injected under load');
  }

  async #injectAll(): Promise<void> {
    let active = await this.#whole();
    for (const { kind, takeovers } of this.#options.plan) {
      for (let i = 1; i <= takeovers; i++) {
        active = await this.#inject(kind, active);
        const { from, to, outageMs, asBeforeMs } = must(
          this.#takeovers.at(-1),
          'a fault has been followed by a takeover',
        );
        const acked = this.#running.ackedCount;
        this.#onProgress(
          `${kind} ${i} of ${takeovers}: ${from} to ${to}, ${Math.round(outageMs)} ms without an ack, ${asBefore(asBeforeMs)}; ${acked} acked`,
        );
      }
    }
  }

  /** Injects a fault, and waits until the group has worked without one for a while. @returns the new active */
  async #inject(kind: FaultKind, active: MemberStatus): Promise<MemberStatus> {
    const { pauseMs, timeoutMs, settleMs } = this.#options;
    const load = this.#running;
    load.beginPhase();
    this.#phases.push(kind);
    const atMs = Date.now();
    const injectedMs = performance.now();
    load.ackRate.fault(injectedMs);
    const fault = await this.#faults.inject(kind, active);
    let next: MemberStatus;
    try {
      next = await this.#view.until(
        `a takeover from ${active.node} after ${kind}`,
        (members) => members.find(({ role, epoch }) => role === 'active' && epoch > active.epoch),
        timeoutMs,
        this.#signal,
      );
      this.active = next.node;
      if (kind === 'pause') await this.#pass(pauseMs - (performance.now() - injectedMs));
    } finally {
      fault.undo();
    }
    const takeover = takeoverOf(kind, atMs, active, next, load.outage.longestMs(performance.now()));
    this.#takeovers.push(takeover);
    // A paused or cut-off member comes back as the same process, an ended one as another process of its name.
    const isBack = ({ role, node, member }: MemberStatus): boolean =>
      role === 'standby' &&
      node === active.node &&
      (kind === 'term' || kind === 'kill' || member === active.member);
    await this.#view.until(
      `${active.node} as a standby again after ${kind}`,
      (members) => (members.some(isBack) ? wholeGroup(members, this.#group.memberCount) : undefined),
      timeoutMs,
      this.#signal,
    );
    await this.#acked(performance.now(), timeoutMs);
    await this.#pass(settleMs);
    const now = await this.#whole();
    takeover.outageMs = load.outage.longestMs(performance.now());
    takeover.asBeforeMs = load.ackRate.asBeforeMs(performance.now()) ?? null;
    takeover.drillPauseMs = load.ownPauseMs;
    takeover.unexpectedEpochs = now.epoch - active.epoch - 1;
    return now;
  }

  /** Waits until the group is whole. @returns the active */
  async #whole(): Promise<MemberStatus> {
    const { memberCount } = this.#group;
    const active = await this.#view.until(
      `an active, and ${memberCount - 1} standby`,
      (members) => wholeGroup(members, memberCount),
      this.#options.timeoutMs,
      this.#signal,
    );
    this.active = active.node;
    return active;
  }

  /** Waits for an ack after `afterMs`. */
  async #acked(afterMs: number, timeoutMs: number): Promise<void> {
    const { outage } = this.#running;
    while (outage.lastAckMs < afterMs) {
      if (performance.now() - afterMs > timeoutMs)
        throw new GroupError(`there is an active, but no ack for ${timeoutMs / 1000} s`);
      await this.#pass(LOOK_MS);
    }
  }

  async #pass(ms: number): Promise<void> {
    await sleep(Math.max(0, ms), undefined, { signal: this.#signal });
  }
}

function takeoverOf(
  kind: FaultKind,
  atMs: number,
  before: MemberStatus,
  after: MemberStatus,
  outageMs: number,
): Takeover {
  const timeline = after.lastTakeover;
  return {
    fault: kind,
    atMs,
    outageMs,
    asBeforeMs: null,
    drillPauseMs: 0,
    from: before.node,
    to: after.node,
    epoch: after.epoch,
    reason: timeline?.reason ?? '',
    tookMs: timeline?.tookMs ?? 0,
    recoveryMs: timeline?.recoveryMs ?? 0,
    servedAfterMs: timeline === null || after.host !== hostname() ? null : timeline.atWallMs - atMs,
    unexpectedEpochs: 0,
  };
}

function asBefore(ms: number | null): string {
  return ms === null
    ? 'not served as before until the next fault'
    : `served as before after ${Math.round(ms)} ms`;
}

/** The text of a failure of the group. Any other error is a bug of the drill, and thrown again. */
function failureText(error: unknown): string {
  if (error instanceof GroupError) return error.message;
  throw error;
}
