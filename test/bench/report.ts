import { CPU_RATIO_TARGET } from './lines.js';
import type { LoadResult } from './load/spec.js';
import type { Machine } from './machine.js';
import type { Fenced, Measured, MeasuredClients, Rested } from './measure.js';

/** More than that at the start, and the figures are not the program's alone. */
const QUIET_LOAD = 0.5;

/** Medians over the rounds; ratios are medians of the ratios of the rounds that ran next to each other. */
export interface Summary {
  id: string;
  title: string;
  rounds: number;
  floor: Side | undefined;
  bare: Side | undefined;
  broker: Side | undefined;
  share: number | undefined;
  /** Of the bare floor's messages per second and CPU time. */
  bareShare: number | undefined;
  bareCpuRatio: number | undefined;
  shareTarget: number;
  cpuRatio: number | undefined;
  cpuRatioTarget: number;
}

export interface Side {
  messagesPerSecond: number;
  cpuMicros: number;
  /** Cores kept busy: what limits the line. */
  cores: { self: number; nats: number; load: number };
  redelivered: number;
}

/** The same of a broker alone, and of a group of one. */
export interface FenceSummary {
  id: string;
  title: string;
  rounds: number;
  alone: Side;
  group: Side;
  share: number;
  shareTarget: number;
}

/** Messages per second and CPU time of one client of each library. */
export interface ClientSummary {
  id: string;
  title: string;
  rounds: number;
  own: { messagesPerSecond: number; cpuMicros: number };
  legacy: { messagesPerSecond: number; cpuMicros: number };
  times: number;
  target: number;
}

export interface Report {
  machine: Machine;
  lines: Summary[];
  fence: FenceSummary[];
  clients: ClientSummary[];
  rest: Rested[];
  missed: string[];
  failed: string[];
}

export function summarize({ line, floor, bare, broker }: Measured): Summary {
  return {
    id: line.id,
    title: line.title,
    rounds: Math.max(floor.length, broker.length),
    floor: side(floor),
    bare: side(bare),
    broker: side(broker),
    share: ratio(broker, floor, (result) => result.messagesPerSecond),
    bareShare: ratio(broker, bare, (result) => result.messagesPerSecond),
    bareCpuRatio: ratio(broker, bare, (result) => result.targetCpuMicros),
    shareTarget: line.shareTarget,
    cpuRatio: ratio(broker, floor, (result) => result.targetCpuMicros),
    cpuRatioTarget: CPU_RATIO_TARGET,
  };
}

export function summarizeFence({ line, alone, group }: Fenced): FenceSummary {
  return {
    id: line.id,
    title: line.title,
    rounds: alone.length,
    alone: side(alone)!,
    group: side(group)!,
    share: ratio(group, alone, (result) => result.messagesPerSecond)!,
    shareTarget: line.shareTarget,
  };
}

export function summarizeClients({ line, own, legacy }: MeasuredClients): ClientSummary {
  const of = (results: typeof own): ClientSummary['own'] => ({
    messagesPerSecond: median(results.map((result) => result.messagesPerSecond)),
    cpuMicros: median(results.map((result) => result.cpuMicros)),
  });
  return {
    id: line.id,
    title: line.title,
    rounds: own.length,
    own: of(own),
    legacy: of(legacy),
    times: median(own.map((result, round) => result.messagesPerSecond / legacy[round]!.messagesPerSecond)),
    target: line.target,
  };
}

export function missedTargets({
  lines,
  fence,
  clients,
  rest,
}: Pick<Report, 'lines' | 'fence' | 'clients' | 'rest'>): string[] {
  const missed: string[] = [];
  for (const line of lines) {
    missed.push(
      ...missedBeside('the floor', line, line.share, line.cpuRatio),
      ...missedBeside('the bare floor', line, line.bareShare, line.bareCpuRatio),
    );
  }
  for (const { id, share, shareTarget } of fence) {
    if (share < shareTarget) {
      missed.push(
        `${id}: in a group ${percent(share)} of the messages per second without one, should be ${percent(shareTarget)}`,
      );
    }
  }
  for (const { id, times, target } of clients) {
    if (times < target)
      missed.push(`${id}: ${times.toFixed(2)} times the rate of node-nats-streaming, should be ${target}`);
  }
  for (const { line, afterLoadBytes, afterRestartBytes } of rest) {
    const bytes = Math.max(afterLoadBytes, afterRestartBytes);
    if (bytes > line.maxBytes)
      missed.push(`${line.id}: ${megabytes(bytes)}, should be at most ${megabytes(line.maxBytes)}`);
  }
  return missed;
}

function missedBeside(
  floor: string,
  { id, shareTarget, cpuRatioTarget }: Summary,
  share: number | undefined,
  cpuRatio: number | undefined,
): string[] {
  const missed: string[] = [];
  if (share !== undefined && share < shareTarget)
    missed.push(
      `${id}: ${percent(share)} of ${floor}'s messages per second, should be ${percent(shareTarget)}`,
    );
  if (cpuRatio !== undefined && cpuRatio > cpuRatioTarget)
    missed.push(
      `${id}: ${cpuRatio.toFixed(2)} times ${floor}'s CPU time, should be at most ${cpuRatioTarget}`,
    );
  return missed;
}

export function formatReport({ machine, lines, fence, clients, rest, missed, failed }: Report): string {
  const parts: string[] = [];
  parts.push(
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB; ${machine.os}, ${machine.fileSystem}; ` +
      `Node ${machine.node}, nats-server ${machine.natsServer}. 128-byte messages.`,
  );
  if (machine.loadAverage > QUIET_LOAD) {
    parts.push(
      `Others were at work on this machine (load average ${machine.loadAverage.toFixed(1)}): not for docs/performance.md.`,
    );
  }
  if (lines.length > 0) parts.push(speedTable(lines), coresTable(lines));
  if (lines.some(({ bare }) => bare !== undefined)) parts.push(bareTable(lines));
  if (fence.length > 0) parts.push(fenceTable(fence));
  if (clients.length > 0) parts.push(clientTable(clients));
  if (rest.length > 0) parts.push(restTable(rest));
  if (missed.length > 0) parts.push(`Targets missed:\n${missed.map((text) => `- ${text}`).join('\n')}`);
  else if (
    lines.some((line) => line.share !== undefined) ||
    fence.length > 0 ||
    clients.length > 0 ||
    rest.length > 0
  )
    parts.push('All targets reached.');
  if (failed.length > 0) parts.push(`Failed:\n${failed.map((text) => `- ${text}`).join('\n')}`);
  return `${parts.join('\n\n')}\n`;
}

function clientTable(clients: ClientSummary[]): string {
  const head = [
    'one client, memory store',
    'node-nats-streaming msg/s',
    'stanchion msg/s',
    'times',
    'target',
    'node-nats-streaming CPU us/msg',
    'stanchion CPU us/msg',
  ];
  const rows = clients.map(({ title, legacy, own, times, target }) => [
    title,
    thousands(legacy.messagesPerSecond),
    thousands(own.messagesPerSecond),
    times.toFixed(2),
    String(target),
    legacy.cpuMicros.toFixed(2),
    own.cpuMicros.toFixed(2),
  ]);
  return table(head, rows);
}

function speedTable(lines: Summary[]): string {
  const head = [
    'line',
    'floor msg/s',
    'broker msg/s',
    'share',
    'target',
    'floor CPU us/msg',
    'broker CPU us/msg',
    'ratio',
    'target',
  ];
  const rows = lines.map(({ title, floor, broker, share, shareTarget, cpuRatio, cpuRatioTarget }) => [
    title,
    thousands(floor?.messagesPerSecond),
    thousands(broker?.messagesPerSecond),
    share === undefined ? '-' : percent(share),
    percent(shareTarget),
    micros(floor?.cpuMicros),
    micros(broker?.cpuMicros),
    cpuRatio === undefined ? '-' : cpuRatio.toFixed(2),
    `${cpuRatioTarget}`,
  ]);
  return table(head, rows);
}

function bareTable(lines: Summary[]): string {
  const head = [
    'beside the bare floor',
    'bare floor msg/s',
    'broker msg/s',
    'share',
    'bare floor CPU us/msg',
    'broker CPU us/msg',
    'ratio',
  ];
  const rows = lines.map(({ title, bare, broker, bareShare, bareCpuRatio }) => [
    title,
    thousands(bare?.messagesPerSecond),
    thousands(broker?.messagesPerSecond),
    bareShare === undefined ? '-' : percent(bareShare),
    micros(bare?.cpuMicros),
    micros(broker?.cpuMicros),
    bareCpuRatio === undefined ? '-' : bareCpuRatio.toFixed(2),
  ]);
  return table(head, rows);
}

function coresTable(lines: Summary[]): string {
  const head = ['cores kept busy', 'floor', 'nats-server', 'load', 'broker', 'nats-server', 'load'];
  const rows = lines.map(({ title, floor, broker }) => [
    title,
    ...[floor, broker].flatMap((measured) =>
      measured === undefined
        ? ['-', '-', '-']
        : [measured.cores.self, measured.cores.nats, measured.cores.load].map((cores) => cores.toFixed(2)),
    ),
  ]);
  return table(head, rows);
}

function fenceTable(lines: FenceSummary[]): string {
  const head = [
    'what a group costs',
    'alone msg/s',
    'group of one msg/s',
    'share',
    'target',
    'alone CPU us/msg',
    'group CPU us/msg',
  ];
  const rows = lines.map(({ title, alone, group, share, shareTarget }) => [
    title,
    thousands(alone.messagesPerSecond),
    thousands(group.messagesPerSecond),
    percent(share),
    percent(shareTarget),
    micros(alone.cpuMicros),
    micros(group.cpuMicros),
  ]);
  return table(head, rows);
}

function restTable(rest: Rested[]): string {
  const head = ['memory at rest, file store', 'messages', 'after the load', 'after a restart', 'target'];
  const rows = rest.map(({ line, messages, afterLoadBytes, afterRestartBytes }) => [
    line.title,
    thousands(messages),
    megabytes(afterLoadBytes),
    megabytes(afterRestartBytes),
    megabytes(line.maxBytes),
  ]);
  return table(head, rows);
}

function side(results: LoadResult[]): Side | undefined {
  if (results.length === 0) return undefined;
  const cores = (of: (result: LoadResult) => number) =>
    median(results.map((result) => (of(result) * result.messagesPerSecond) / 1e6));
  return {
    messagesPerSecond: median(results.map((result) => result.messagesPerSecond)),
    cpuMicros: median(results.map((result) => result.targetCpuMicros)),
    cores: {
      self: cores((result) => result.targetCpuMicros),
      nats: cores((result) => result.natsCpuMicros),
      load: cores((result) => result.loadCpuMicros),
    },
    redelivered: results.reduce((sum, result) => sum + result.redelivered, 0),
  };
}

function ratio(
  broker: LoadResult[],
  floor: LoadResult[],
  of: (result: LoadResult) => number,
): number | undefined {
  if (broker.length === 0 || floor.length === 0) return undefined;
  return median(broker.map((result, round) => of(result) / of(floor[round]!)));
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, column) => (column === 0 ? '---' : '---:'))), ...rows.map(line)].join(
    '\n',
  );
}

function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}

function thousands(value: number | undefined): string {
  return value === undefined ? '-' : Math.round(value).toLocaleString('en-US');
}

function micros(value: number | undefined): string {
  return value === undefined ? '-' : value.toFixed(value < 10 ? 2 : 0);
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}
