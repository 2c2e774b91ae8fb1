import type { FigureName, Line } from '../lines/line.js';
import { SIDE_NAMES, type Side } from '../sides.js';
import {
  hundredths,
  markdownTable,
  megabytes,
  micros,
  milliseconds,
  percent,
  rate,
  times,
} from './format.js';
import type { LineFigures } from './run-figures.js';

/** A column: its head, and what it shows of a line, if there is such a figure. */
interface Column {
  head: string;
  /** It is the limit of the column before it, and not shown without that. */
  isTarget?: boolean;
  /** @param all the figures of every line: a column may show those of another */
  cell: (figures: LineFigures, all: readonly LineFigures[]) => string | undefined;
}

interface Table {
  name: string;
  head: string;
  has: (figures: LineFigures) => boolean;
  columns: readonly Column[];
}

type Format = (value: number) => string;

const value = (side: Side, figure: FigureName, format: Format, what: string): Column => ({
  head: what === '' ? SIDE_NAMES[side] : `${SIDE_NAMES[side]}, ${what}`,
  cell: (figures) => formatted(figures.value(side, figure), format),
});

const ratio = (side: Side, figure: FigureName, beside: Side, format: Format, head: string): Column => ({
  head,
  cell: (figures) => formatted(figures.ratio(side, figure, beside), format),
});

/** The limit for a figure, by itself or beside another side. */
const target = (figure: FigureName, beside: Side | undefined, format: Format): Column => ({
  head: 'target',
  isTarget: true,
  cell: ({ line: { targets } }) => {
    const found = targets.find((candidate) => candidate.figure === figure && candidate.beside === beside);
    return formatted(found?.atLeast ?? found?.atMost, format);
  },
});

/** The same line beside another writer has a row of its own. */
const busyTimes: Column = {
  head: 'times the Go server, disk busy',
  cell: ({ line }, all) => {
    const busy = all.find(
      (other) => other.line.id === line.id.replace('publish', 'busy') && other.line.id !== line.id,
    );
    return formatted(busy?.ratio('stanchion', 'warm', 'go'), times);
  },
};

const isLoad = (store: 'file' | 'memory') => (figures: LineFigures) =>
  figures.line.kind === 'load' &&
  figures.line.store === store &&
  !figures.line.isDiskBusy &&
  !figures.line.isAtOnce &&
  !figures.has('group');
const isLimited = (figures: LineFigures): boolean =>
  figures.line.kind === 'load' && figures.line.channelBytes > 0;
const isKind = (kind: Line['kind']) => (figures: LineFigures) => figures.line.kind === kind;
const isFile = isLoad('file');
const isKept = (figures: LineFigures): boolean => isFile(figures) && !isLimited(figures);
const isCold = (figures: LineFigures): boolean =>
  isKept(figures) || (figures.line.kind === 'load' && figures.line.isAtOnce);

const FLOORS: readonly Column[] = [
  value('stanchion', 'warm', rate, 'msg/s'),
  value('floor', 'warm', rate, 'msg/s'),
  ratio('stanchion', 'warm', 'floor', percent, 'share of the floor'),
  target('warm', 'floor', percent),
  value('overwriting', 'warm', rate, 'msg/s'),
  ratio('stanchion', 'warm', 'overwriting', percent, 'share of the overwriting floor'),
  value('bare', 'warm', rate, 'msg/s'),
  ratio('stanchion', 'warm', 'bare', percent, 'share of the bare floor'),
];

const FLOOR_CPU: readonly Column[] = [
  value('stanchion', 'cpu', micros, 'µs'),
  value('floor', 'cpu', micros, 'µs'),
  ratio('stanchion', 'cpu', 'floor', times, 'times the floor'),
  value('bare', 'cpu', micros, 'µs'),
  ratio('stanchion', 'cpu', 'bare', times, 'times the bare floor'),
];

/** Every table that the bench prints; the docs show them under these names. */
export const TABLES: readonly Table[] = [
  {
    name: 'go',
    head: 'file store with sync, messages a second',
    has: (figures) => isKept(figures) && figures.has('go'),
    columns: [
      value('go', 'warm', rate, ''),
      value('stanchion', 'warm', rate, ''),
      ratio('stanchion', 'warm', 'go', times, 'times the Go server'),
      ratio('stanchion', 'cold', 'go', times, 'times the Go server, cold'),
      busyTimes,
      ratio('stanchion', 'cpu', 'go', times, 'CPU time, times the Go server'),
    ],
  },
  {
    name: 'floors',
    head: 'file store beside the floors',
    has: (figures) => isKept(figures) && (figures.has('floor') || figures.has('overwriting')),
    columns: FLOORS,
  },
  {
    name: 'base',
    head: 'beside the other build, msg/s',
    has: (figures) => figures.has('base'),
    columns: [
      value('base', 'warm', rate, ''),
      value('stanchion', 'warm', rate, ''),
      ratio('stanchion', 'warm', 'base', times, 'times'),
      ratio('stanchion', 'cold', 'base', times, 'times, cold'),
      ratio('stanchion', 'cpu', 'base', times, 'CPU time, times'),
      value('base', 'written', hundredths, 'written'),
      value('stanchion', 'written', hundredths, 'written'),
    ],
  },
  {
    name: 'cold',
    head: 'the first messages of a new process, msg/s',
    has: (figures) => isCold(figures) && figures.value('stanchion', 'cold') !== undefined,
    columns: [
      value('go', 'cold', rate, ''),
      value('stanchion', 'cold', rate, ''),
      ratio('stanchion', 'cold', 'go', times, 'times'),
      target('cold', 'go', times),
    ],
  },
  {
    name: 'busy',
    head: 'beside another writer on the disk, msg/s',
    has: (figures) => figures.line.kind === 'load' && figures.line.isDiskBusy,
    columns: [
      value('go', 'warm', rate, ''),
      value('stanchion', 'warm', rate, ''),
      ratio('stanchion', 'warm', 'go', times, 'times'),
      target('warm', 'go', times),
      ratio('stanchion', 'cold', 'go', times, 'times, cold'),
    ],
  },
  {
    name: 'cpu',
    head: 'file store, CPU time per message',
    has: (figures) =>
      isKept(figures) && (figures.has('go') || figures.has('floor') || figures.has('overwriting')),
    columns: [
      value('go', 'cpu', micros, 'µs'),
      value('stanchion', 'cpu', micros, 'µs'),
      ratio('stanchion', 'cpu', 'go', times, 'times the Go server'),
      target('cpu', 'go', times),
      value('floor', 'cpu', micros, 'µs'),
      ratio('stanchion', 'cpu', 'floor', times, 'times the floor'),
      value('overwriting', 'cpu', micros, 'µs'),
      ratio('stanchion', 'cpu', 'overwriting', times, 'times the overwriting floor'),
    ],
  },
  {
    name: 'limited',
    head: 'a channel at its limit, msg/s',
    has: (figures) => isLimited(figures) && figures.has('stanchion'),
    columns: [
      value('go', 'warm', rate, ''),
      value('stanchion', 'warm', rate, ''),
      ratio('stanchion', 'warm', 'go', times, 'times'),
      target('warm', 'go', times),
      value('overwriting', 'warm', rate, ''),
      value('go', 'cpu', micros, 'µs'),
      value('stanchion', 'cpu', micros, 'µs'),
      ratio('stanchion', 'cpu', 'go', times, 'CPU time, times the Go server'),
      target('cpu', 'go', times),
      value('overwriting', 'cpu', micros, 'µs'),
      value('go', 'written', hundredths, 'written'),
      value('stanchion', 'written', hundredths, 'written'),
    ],
  },
  {
    name: 'written',
    head: 'bytes written per byte of payload',
    has: (figures) => isKept(figures) && figures.value('stanchion', 'written') !== undefined,
    columns: [
      value('go', 'written', hundredths, ''),
      value('stanchion', 'written', hundredths, ''),
      target('written', undefined, hundredths),
      value('floor', 'written', hundredths, ''),
    ],
  },
  {
    name: 'moments',
    head: 'time',
    has: (figures) => figures.line.kind === 'start' || figures.line.kind === 'outage',
    columns: [
      value('go', 'ms', milliseconds, ''),
      value('stanchion', 'ms', milliseconds, ''),
      target('ms', undefined, milliseconds),
    ],
  },
  {
    name: 'replay',
    head: 'replay',
    has: isKind('replay'),
    columns: [
      value('go', 'warm', rate, 'msg/s'),
      value('stanchion', 'warm', rate, 'msg/s'),
      target('warm', undefined, rate),
      value('go', 'p99Ms', milliseconds, 'p99 of a publish meanwhile'),
      value('stanchion', 'p99Ms', milliseconds, 'p99 of a publish meanwhile'),
      target('p99Ms', undefined, milliseconds),
    ],
  },
  {
    name: 'large',
    head: 'large messages',
    has: isKind('large'),
    columns: [
      value('go', 'warm', rate, 'msg/s'),
      value('stanchion', 'warm', rate, 'msg/s'),
      value('stanchion', 'loopP99Ms', milliseconds, 'p99 of the event loop’s delay'),
      target('loopP99Ms', undefined, milliseconds),
      value('go', 'p99Ms', milliseconds, 'p99 of a small publish'),
      value('stanchion', 'p99Ms', milliseconds, 'p99 of a small publish'),
      value('go', 'peakBytes', megabytes, 'most memory'),
      value('stanchion', 'peakBytes', megabytes, 'most memory'),
    ],
  },
  {
    name: 'rest',
    head: 'memory at rest, file store',
    has: isKind('rest'),
    columns: [
      value('go', 'restBytes', megabytes, 'after the load'),
      value('stanchion', 'restBytes', megabytes, 'after the load'),
      value('go', 'restartedBytes', megabytes, 'after a restart'),
      value('stanchion', 'restartedBytes', megabytes, 'after a restart'),
      target('restBytes', undefined, megabytes),
    ],
  },
  { name: 'memory', head: 'memory store beside the floors', has: isLoad('memory'), columns: FLOORS },
  {
    name: 'memory-cpu',
    head: 'memory store, CPU time per message',
    has: isLoad('memory'),
    columns: FLOOR_CPU,
  },
  {
    name: 'group',
    head: 'a broker alone, and a group of one',
    has: (figures) => figures.has('group'),
    columns: [
      value('stanchion', 'warm', rate, 'msg/s'),
      value('group', 'warm', rate, 'msg/s'),
      ratio('group', 'warm', 'stanchion', percent, 'share'),
      target('warm', 'stanchion', percent),
    ],
  },
  {
    name: 'client',
    head: 'one client, memory store, msg/s',
    has: isKind('client'),
    columns: [
      value('node-nats-streaming', 'warm', rate, ''),
      value('stanchion', 'warm', rate, ''),
      ratio('stanchion', 'warm', 'node-nats-streaming', times, 'times'),
      target('warm', 'node-nats-streaming', times),
      value('node-nats-streaming', 'cpu', micros, 'µs of CPU'),
      value('stanchion', 'cpu', micros, 'µs of CPU'),
    ],
  },
  {
    name: 'cores',
    head: 'cores kept busy, under stanchion',
    has: (figures) => figures.value('stanchion', 'selfCores') !== undefined && !figures.has('group'),
    columns: [
      value('stanchion', 'selfCores', hundredths, ''),
      {
        head: 'nats-server',
        cell: (figures) => formatted(figures.value('stanchion', 'natsCores'), hundredths),
      },
      {
        head: 'load generator',
        cell: (figures) => formatted(figures.value('stanchion', 'loadCores'), hundredths),
      },
      { head: 'others', cell: (figures) => formatted(figures.value('stanchion', 'otherCores'), hundredths) },
    ],
  },
];

/** @returns nothing if the run has no such lines; columns without a figure are left out */
export function formatTable({ head, has, columns }: Table, all: readonly LineFigures[]): string | undefined {
  const rows = all.filter(has);
  if (rows.length === 0) return undefined;
  const cells = columns.map(({ cell }) => rows.map((figures) => cell(figures, all)));
  const isFull = (i: number): boolean => cells[i]?.some((text) => text !== undefined) === true;
  const shown = columns.flatMap((column, i) =>
    isFull(i) && (column.isTarget !== true || isFull(i - 1)) ? [{ column, texts: cells[i] ?? [] }] : [],
  );
  return markdownTable(
    [head, ...shown.map(({ column }) => column.head)],
    rows.map(({ line }, row) => [line.title, ...shown.map(({ texts }) => texts[row] ?? '-')]),
  );
}

function formatted(figure: number | undefined, format: Format): string | undefined {
  return figure === undefined ? undefined : format(figure);
}
