import { table } from '../util/table.js';
import type { BenchReport } from './run-bench.js';
import type { ClientResult, SideResult } from './side.js';

/** The report for people: a line for all, for each side, and for each client of a side with several. */
export function benchText(report: BenchReport): string {
  const { all, publishers, subscribers, isPartial } = report;
  const rows: string[][] = [];
  if (publishers !== null) addSide(rows, 'publishers', publishers);
  if (subscribers !== null) addSide(rows, 'subscribers', subscribers);
  rows.push(row('all', { ...all, latencyMicros: null }));
  const text = table(['', 'messages', 'msg/s', 'bytes/s', 'p50 ms', 'p99', 'p99.9', 'max'], rows);
  return isPartial ? `${text}\n\nInterrupted: these are the figures until then.` : text;
}

/** The report as CSV, with a line for each client. */
export function benchCsv(report: BenchReport): string {
  const lines = [
    'side,client_id,messages,seconds,msgs_per_second,bytes_per_second,p50_us,p99_us,p999_us,max_us',
  ];
  for (const side of ['publishers', 'subscribers'] as const) {
    for (const client of report[side]?.clients ?? []) {
      const { p50 = '', p99 = '', p999 = '', max = '' } = client.latencyMicros ?? {};
      lines.push(
        [
          side,
          client.clientId,
          client.messages,
          client.seconds.toFixed(3),
          client.messagesPerSecond,
          client.bytesPerSecond,
          p50,
          p99,
          p999,
          max,
        ].join(','),
      );
    }
  }
  return `${lines.join('\n')}\n`;
}

function addSide(rows: string[][], name: string, side: SideResult): void {
  rows.push(row(name, side));
  if (side.clients.length < 2) return;
  side.clients.forEach((client, index) => {
    rows.push(row(`  ${index + 1}`, client));
  });
}

function row(name: string, result: Omit<ClientResult, 'clientId' | 'seconds'>): string[] {
  const { messages, messagesPerSecond, bytesPerSecond, latencyMicros } = result;
  const latencies =
    latencyMicros === null
      ? ['', '', '', '']
      : [latencyMicros.p50, latencyMicros.p99, latencyMicros.p999, latencyMicros.max].map((us) =>
          (us / 1000).toFixed(2),
        );
  return [name, grouped(messages), grouped(messagesPerSecond), bytesText(bytesPerSecond), ...latencies];
}

function grouped(value: number): string {
  return value.toLocaleString('en-US');
}

function bytesText(bytes: number): string {
  const mebibytes = bytes / (1024 * 1024);
  return mebibytes >= 1 ? `${mebibytes.toFixed(1)} MiB` : `${(bytes / 1024).toFixed(1)} KiB`;
}
