import { printable } from '../util/printable.js';
import { table } from '../util/table.js';
import type { DrillReport, Percentiles, ReportRow } from './report.js';

/** A report for people: a line for each kind of fault, one for each subscription, and the verdict. */
export function reportText(report: DrillReport): string {
  const { rows, total, subscriptions, isChecked, remarks } = report;
  const faults = table(
    [
      'fault',
      'takeovers',
      'outage p50',
      'p99',
      'max ms',
      'as before p50',
      'max ms',
      'recovery p50',
      'max ms',
      'acked',
      'lost',
      'stored twice',
      'out of order',
      'came twice',
      'unexpected',
    ],
    [...rows, total].map((row) => [
      row === total ? 'all' : (row.fault ?? '(none yet)'),
      row === total || row.fault !== undefined ? String(row.takeovers) : '-',
      ...percentileCells(row.outageMs),
      ...percentileCells(row.asBeforeMs).filter((_, i) => i !== 1),
      ...percentileCells(row.recoveryMs).filter((_, i) => i !== 1),
      String(row.acked),
      ...(isChecked ? [String(row.lost), String(row.storedTwice)] : ['?', '?']),
      String(row.outOfOrder),
      String(row.cameTwice),
      String(row.unexpected),
    ]),
  );
  const subscribed = table(
    ['subscription', 'received', 'redelivered', 'came twice', 'out of order', 'missing'],
    subscriptions.map(({ name, received, redelivered, cameTwice, outOfOrder, missing }) => [
      name,
      ...[received, redelivered, cameTwice, outOfOrder].map(String),
      isChecked ? String(missing) : '?',
    ]),
  );
  return [faults, subscribed, [...remarks, verdict(report, total)].map(printable).join('\n')].join('\n\n');
}

function percentileCells(of: Percentiles | undefined): string[] {
  if (of === undefined) return ['-', '-', '-'];
  return [of.p50, of.p99, of.max].map((ms) => String(Math.round(ms)));
}

function verdict({ verdict, failures }: DrillReport, { acked, takeovers }: ReportRow): string {
  switch (verdict) {
    case 'passed':
      return `PASSED: ${acked} messages were acknowledged, and each is stored once, after ${takeovers} takeovers.`;
    case 'interrupted':
      return `INTERRUPTED: nothing is wrong after ${takeovers} takeovers, but not all was tried.`;
    case 'failed':
      return `FAILED: ${failures.join('. ')}.`;
  }
}
