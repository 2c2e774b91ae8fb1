// What `stanchion import` prints at its end.

import type { ChannelLimits } from '../config/channel-limits.js';
import type { FileLimits } from '../config/go-file/limits.js';
import type { ImportSummary } from '../import/import.js';
import type { ImportDifference, VerifyImportReport } from '../import/target/verify-import.js';
import type { SourceProblem } from '../import/types/source.js';
import { printable } from '../util/printable.js';
import { table } from '../util/table.js';
import { countText } from './count-text.js';
import { sizeText } from './size-text.js';

/** Limit of the rows of a table. */
const MAX_ROWS = 100;

export function summaryText(
  from: string,
  summary: ImportSummary,
  limits: FileLimits | undefined,
  seconds: number,
): string {
  // A URL may have a password in it: the source's name has none.
  const shownFrom = from.includes('://') ? summary.from : from;
  const { dir, clusterId, storeId, messages, bytes, channels, clients } = summary;
  const { connected, durables, pending, bounds } = summary;
  const counts = [
    `${countText(messages, 'message')} (${sizeText(bytes)})`,
    countText(channels, 'channel'),
    `${countText(clients, 'client')} with ${countText(connected, 'subscription')}`,
    countText(durables, 'durable'),
    countText(pending, 'pending message'),
  ].join(', ');
  const lines = [
    storeId === undefined
      ? `From ${summary.from} would come along: ${counts}. Nothing was written`
      : `Imported ${summary.from} into ${dir} in ${seconds.toFixed(1)} s, as store ${storeId} of cluster "${clusterId}": ${counts}`,
    '',
    table(
      ['channel', 'first', 'last', 'messages'],
      bounds
        .slice(0, MAX_ROWS)
        .map(({ channel, first, last, messages: count }) => [channel, `${first}`, `${last}`, `${count}`]),
    ),
  ];
  if (bounds.length > MAX_ROWS)
    lines.push(`and ${countText(bounds.length - MAX_ROWS, 'more channel')}: --json has all`);
  const notes = [
    ...(limits === undefined ? [] : limitLines(summary, limits)),
    ...gapLines(summary),
    ...summary.leftOut.map((text) => `Note: ${text}`),
    ...summary.problems.map(problemLine),
  ];
  if (notes.length > 0) lines.push('', ...notes);
  if (storeId !== undefined) {
    lines.push(
      '',
      `To compare it with its source: stanchion import --verify --from ${shellWord(shownFrom)} --dir ${shellWord(dir)} ...`,
      `To go on: stanchion serve --store file --dir ${shellWord(dir)} --cluster-id ${clusterId}`,
    );
  }
  return `${lines.map((line) => (line.includes('\n') ? line : printable(line))).join('\n')}\n`;
}

/** @returns what was assumed of the old server's limits, and what they hide */
function limitLines({ hidden }: ImportSummary, limits: FileLimits): string[] {
  const { global, channels } = limits;
  const lines = [
    `The old server's limits are taken to be ${limitsText(global)}${limits.where.size === 0 && channels.length === 0 ? ', its defaults unless flags say otherwise' : ''}`,
  ];
  for (const [pattern, own] of channels.slice(0, MAX_ROWS)) lines.push(`  ${pattern}: ${limitsText(own)}`);
  const what = [
    [hidden.byMaxMessages, '--max-msgs'],
    [hidden.byMaxBytes, '--max-bytes'],
    [hidden.byMaxAge, '--max-age'],
  ] as const;
  const some = what.filter(([count]) => count > 0);
  lines.push(
    some.length === 0
      ? 'They hide no message that is in the files'
      : `They hide ${some.map(([count, flag]) => `${countText(count, 'message')} (${flag})`).join(', ')}, which the old server had dropped and which are still in its files. If its limits were others, give them`,
  );
  return lines;
}

function limitsText({ maxMessages, maxBytes, maxAgeMs }: Readonly<ChannelLimits>): string {
  const messages = maxMessages === 0 ? 'any number of messages' : countText(maxMessages, 'message');
  const bytes = maxBytes === 0 ? 'any size' : sizeText(maxBytes);
  return `${messages}, ${bytes}, ${maxAgeMs === 0 ? 'any age' : `an age of ${durationText(maxAgeMs)}`}`;
}

function durationText(ms: number): string {
  if (ms % 3_600_000 === 0) return `${ms / 3_600_000}h`;
  return ms % 60_000 === 0 ? `${ms / 60_000}m` : `${ms / 1000}s`;
}

function gapLines({ missing, gapCount, gaps, raised }: ImportSummary): string[] {
  const lines: string[] = [];
  if (gapCount > 0) {
    const first = gaps.slice(0, 5).map(({ channel, first: from, last }) => `${channel} ${from} to ${last}`);
    lines.push(
      `${countText(missing, 'sequence')} in ${countText(gapCount, 'gap')} have no message in the source, and none in the store: ${first.join(', ')}${gapCount > 5 ? ', ...' : ''}`,
    );
  }
  for (const { channel, from, to } of raised)
    lines.push(
      `New messages of ${channel} begin behind ${to}, not ${from}: a subscription has had sequences up to it`,
    );
  return lines;
}

function problemLine({ isLoss, where, offset, text }: SourceProblem): string {
  return `${isLoss ? 'LOST' : 'Note'}: ${where}${offset === undefined ? '' : `, byte ${offset}`}: ${text}`;
}

/** The limits that were assumed, for programs. */
export function limitsJson({ global, channels }: FileLimits): object {
  return { global, channels: Object.fromEntries(channels) };
}

type Verified = Omit<VerifyImportReport, 'differences'> & {
  from: string;
  dir: string;
  differences: readonly ImportDifference[];
  differenceCount: number;
};

export function verifyText({
  from,
  dir,
  messages,
  channels,
  clients,
  subscriptions,
  differences,
  differenceCount,
  leftOut,
}: Verified): string {
  const counts = [
    countText(messages, 'message'),
    countText(channels, 'channel'),
    countText(clients, 'client'),
    countText(subscriptions, 'subscription'),
  ].join(', ');
  const lines = differences.map(
    ({ channel, text }) => `DIFFERS: ${channel === undefined ? '' : `channel ${channel}: `}${text}`,
  );
  if (differenceCount > differences.length)
    lines.push(`and ${countText(differenceCount - differences.length, 'more difference')}`);
  for (const text of leftOut) lines.push(`Note: ${text}`);
  lines.push(
    differenceCount === 0
      ? `${dir} has all that ${from} has, and nothing else: ${counts}`
      : `${countText(differenceCount, 'difference')} between ${from} and ${dir}: ${counts} compared`,
  );
  return `${lines.map(printable).join('\n')}\n`;
}

/** A word of a command line that can be copied. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
