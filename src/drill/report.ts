// The report of a drill: counts per kind of fault, per channel and per subscription, and the verdict.

import type { DrillOptions, FaultKind } from './drill-options.js';
import type { Load } from './load.js';
import type { Takeover } from './takeover.js';

/** Nearest-rank percentiles, in milliseconds. */
export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** The counts during one kind of fault, or before the first one. */
export interface ReportRow {
  /** Undefined before the first fault. */
  readonly fault: FaultKind | undefined;
  readonly takeovers: number;
  /** The longest time without an ack, of each takeover. */
  readonly outageMs: Percentiles | undefined;
  /** The time from the fault until clients were served as before it, of each takeover in which they were: see `AckRate`. */
  readonly asBeforeMs: Percentiles | undefined;
  /** The time of the recovery of the store, of each takeover, from the new active. */
  readonly recoveryMs: Percentiles | undefined;
  /** The time from the fault until the new active served, of each takeover. */
  readonly servedAfterMs: Percentiles | undefined;
  readonly sent: number;
  readonly acked: number;
  readonly lost: number;
  readonly storedTwice: number;
  /** Messages stored or delivered in another order than they were sent. */
  readonly outOfOrder: number;
  /** Messages delivered again without the mark of a redelivery. */
  readonly cameTwice: number;
  /** Takeovers that the drill did not cause. */
  readonly unexpected: number;
}

export interface ChannelReport {
  readonly channel: string;
  readonly stored: number;
  /** Messages that limits of the channel have removed. */
  readonly removed: number;
  readonly gaps: number;
  readonly damaged: number;
  readonly neverSent: number;
  /** Sequences that had two messages. */
  readonly twoMeanings: number;
  /** Messages delivered to a subscriber, and not stored. */
  readonly shownAndGone: number;
}

export interface SubscriptionReport {
  readonly name: string;
  readonly received: number;
  readonly redelivered: number;
  readonly cameTwice: number;
  readonly outOfOrder: number;
  readonly missing: number;
}

/** The report of a drill, as `--json` prints it. */
export interface DrillReport {
  readonly verdict: 'passed' | 'failed' | 'interrupted';
  /** Why the drill failed. */
  readonly failures: readonly string[];
  /** Notes that are no failures. */
  readonly remarks: readonly string[];
  readonly clusterId: string;
  readonly group: string;
  readonly members: number;
  readonly storedBefore: number;
  readonly rate: number;
  /** Whether all stored messages were read back. Otherwise losses are unknown. */
  readonly isChecked: boolean;
  readonly rows: readonly ReportRow[];
  readonly total: ReportRow;
  readonly channels: readonly ChannelReport[];
  readonly subscriptions: readonly SubscriptionReport[];
  readonly takeovers: readonly Takeover[];
}

/** The data for a report. */
export interface DrillRecord {
  options: DrillOptions;
  clusterId: string;
  group: string;
  members: number;
  load: Pick<Load, 'channels' | 'subscriptions' | 'ledgers' | 'unackedCount' | 'calmMs'>;
  /** The fault at the beginning of each phase. */
  phases: readonly (FaultKind | undefined)[];
  takeovers: readonly Takeover[];
  /** The epochs before the first fault and after the last. */
  epochs: { first: number; last: number };
  isInterrupted: boolean;
  isChecked: boolean;
  failures: readonly string[];
}

export function makeReport(record: DrillRecord): DrillReport {
  const { load, phases, takeovers, isChecked, isInterrupted, options } = record;
  const kinds = [...new Set(phases)];
  const rows = kinds.map((kind) => rowOf(record, kind));
  const asked = phases.length - 1;
  const unexpected = takeovers.reduce((sum, takeover) => sum + takeover.unexpectedEpochs, 0);
  const total: ReportRow = {
    ...rowOf(record, undefined),
    takeovers: takeovers.length,
    outageMs: percentiles(takeovers.map(({ outageMs }) => outageMs)),
    recoveryMs: percentiles(takeovers.map(({ recoveryMs }) => recoveryMs)),
    asBeforeMs: percentiles(asBefore(takeovers)),
    servedAfterMs: undefined,
    ...sum(rows),
    // This also counts takeovers of a fault that failed the drill.
    unexpected: Math.max(unexpected, record.epochs.last - record.epochs.first - asked),
  };
  const channels = load.channels.map((channel) => ({
    channel: channel.channel,
    stored: channel.storedCount,
    removed: channel.removed,
    gaps: channel.gaps,
    damaged: channel.damaged,
    neverSent: channel.neverSent,
    twoMeanings: channel.twoMeanings,
    shownAndGone: isChecked ? channel.shownAndGone : 0,
  }));
  const subscriptions = load.subscriptions.map((subscription) => ({
    name: subscription.name,
    received: subscription.receivedCount,
    redelivered: subscription.redelivered,
    cameTwice: subscription.phases.reduce((count, { cameTwice }) => count + cameTwice, 0),
    outOfOrder: subscription.phases.reduce((count, { outOfOrder }) => count + outOfOrder, 0),
    missing: isChecked ? subscription.missing : 0,
  }));
  const failures = [...record.failures, ...problems(record, total, channels, subscriptions)];
  const verdict = failures.length > 0 ? 'failed' : isInterrupted ? 'interrupted' : 'passed';
  return {
    verdict,
    failures,
    remarks: remarks(record, total),
    clusterId: record.clusterId,
    group: record.group,
    members: record.members,
    storedBefore: options.messages,
    rate: options.rate,
    isChecked,
    rows,
    total,
    channels,
    subscriptions,
    takeovers,
  };
}

type CountName = 'sent' | 'acked' | 'lost' | 'storedTwice' | 'outOfOrder' | 'cameTwice' | 'unexpected';
type Counts = Record<CountName, number>;

function rowOf({ load, phases, takeovers, isChecked }: DrillRecord, fault: FaultKind | undefined): ReportRow {
  const isOfKind = (_: unknown, phase: number): boolean => phases[phase] === fault;
  const mine = takeovers.filter((takeover) => takeover.fault === fault);
  const counts: Counts = {
    sent: 0,
    acked: 0,
    lost: 0,
    storedTwice: 0,
    outOfOrder: 0,
    cameTwice: 0,
    unexpected: mine.reduce((count, { unexpectedEpochs }) => count + unexpectedEpochs, 0),
  };
  for (const channel of load.channels) {
    for (const phase of channel.ledgers.flatMap((ledger) => ledger.counts().filter(isOfKind))) {
      counts.sent += phase.sent;
      counts.acked += phase.acked;
      counts.storedTwice += phase.storedTwice;
      counts.outOfOrder += phase.outOfOrder;
      // Messages that limits may have removed are reported separately, not as lost.
      if (isChecked && channel.removed === 0) counts.lost += phase.lost;
    }
  }
  for (const phase of load.subscriptions.flatMap((subscription) => subscription.phases.filter(isOfKind))) {
    counts.outOfOrder += phase.outOfOrder;
    counts.cameTwice += phase.cameTwice;
  }
  const served = mine.map(({ servedAfterMs }) => servedAfterMs).filter((ms) => ms !== null);
  return {
    fault,
    takeovers: mine.length,
    outageMs: percentiles(mine.map(({ outageMs }) => outageMs)),
    recoveryMs: percentiles(mine.map(({ recoveryMs }) => recoveryMs)),
    asBeforeMs: percentiles(asBefore(mine)),
    servedAfterMs: percentiles(served),
    ...counts,
  };
}

function asBefore(takeovers: readonly Takeover[]): number[] {
  return takeovers.map(({ asBeforeMs }) => asBeforeMs).filter((ms) => ms !== null);
}

function sum(rows: readonly Counts[]): Counts {
  const of = (count: (row: Counts) => number): number => rows.reduce((all, row) => all + count(row), 0);
  return {
    sent: of((row) => row.sent),
    acked: of((row) => row.acked),
    lost: of((row) => row.lost),
    storedTwice: of((row) => row.storedTwice),
    outOfOrder: of((row) => row.outOfOrder),
    cameTwice: of((row) => row.cameTwice),
    unexpected: of((row) => row.unexpected),
  };
}

/** The violations of what a group promises. */
function problems(
  { load, isChecked }: DrillRecord,
  total: ReportRow,
  channels: readonly ChannelReport[],
  subscriptions: readonly SubscriptionReport[],
): string[] {
  const found: string[] = [];
  const note = (count: number, text: string): void => {
    if (count > 0) found.push(`${count} ${text}`);
  };
  const examples = (of: 'lost' | 'storedTwice'): string =>
    load.ledgers
      .filter((ledger) => ledger.examples[of].length > 0)
      .map(({ name, examples }) => `${name}: ${examples[of].join(', ')}`)
      .join('; ');
  if (isChecked) note(total.lost, `acknowledged and lost (${examples('lost')}, ...)`);
  note(total.storedTwice, `stored twice (${examples('storedTwice')}, ...)`);
  for (const channel of channels) {
    const where = `in ${channel.channel}`;
    note(channel.twoMeanings, `times a sequence meant two messages ${where}`);
    note(channel.shownAndGone, `shown to a subscriber and not stored ${where}`);
    note(channel.damaged, `with bytes that were not sent ${where}`);
    note(channel.neverSent, `that were never sent ${where}`);
    note(channel.gaps, `sequences without a message ${where}`);
    note(
      channel.removed,
      `removed by the limits of ${channel.channel}, so that losses cannot be checked. Raise max-msgs, max-bytes and ` +
        'max-age for it, or use fewer --messages',
    );
  }
  for (const { name, missing } of subscriptions) note(missing, `never delivered to the ${name} subscription`);
  return found;
}

function remarks({ load, isChecked, takeovers }: DrillRecord, total: ReportRow): string[] {
  const found: string[] = [];
  const note = (count: number, text: string): void => {
    if (count > 0) found.push(`${count} ${text}`);
  };
  if (!isChecked) found.push('The stored messages were not read back: losses are unknown.');
  note(
    total.unexpected,
    'takeovers that the drill did not cause: the lease may be too short for the load of this machine.',
  );
  note(
    total.cameTwice,
    'delivered twice without the mark of a redelivery, as can happen within milliseconds of a death.',
  );
  note(total.outOfOrder, 'out of order.');
  note(load.unackedCount, 'given up without an ack: they may be stored or not.');
  for (const { name, refusals, lastRefusal } of load.ledgers) {
    if (refusals > 0) found.push(`${refusals} answers to ${name} were errors, the last: ${lastRefusal}`);
  }
  found.push(`Before the first fault the longest time without an ack was ${Math.round(load.calmMs)} ms.`);
  const pauses = percentiles(takeovers.map(({ drillPauseMs }) => drillPauseMs));
  if (pauses !== undefined) {
    found.push(
      `During a takeover the drill itself paused for up to ${Math.round(pauses.p50)} ms (p50), ${Math.round(pauses.max)} ms (max).`,
    );
  }
  return found;
}

function percentiles(values: readonly number[]): Percentiles | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => rounded(sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]);
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

function rounded(ms: number): number {
  return Math.round(ms * 10) / 10;
}
