import type { FigureName, Line, Target } from '../lines/line.js';
import { LINES } from '../lines/table.js';
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
import { figuresOf, type LineFigures, type Run } from './run-figures.js';
import { formatTable, TABLES } from './tables.js';

/** More than that at the start, and the figures are not the programs' alone. */
const QUIET_LOAD = 1;

const FIGURES: Record<FigureName, { what: string; format: (value: number) => string }> = {
  cold: { what: 'messages a second, cold', format: rate },
  warm: { what: 'messages a second', format: rate },
  cpu: { what: 'CPU time per message', format: micros },
  written: { what: 'bytes written per byte', format: hundredths },
  selfCores: { what: 'cores', format: hundredths },
  natsCores: { what: 'cores of nats-server', format: hundredths },
  loadCores: { what: 'cores of the load generator', format: hundredths },
  otherCores: { what: 'cores of others', format: hundredths },
  ms: { what: 'time', format: milliseconds },
  p99Ms: { what: 'p99 of a publish', format: milliseconds },
  longestMs: { what: 'longest publish', format: milliseconds },
  loopP99Ms: { what: 'p99 of the event loop’s delay', format: milliseconds },
  peakBytes: { what: 'most memory', format: megabytes },
  restBytes: { what: 'memory at rest', format: megabytes },
  restartedBytes: { what: 'memory at rest after a restart', format: megabytes },
};

/** All tables of a run, as text for a terminal. */
export function formatReport(run: Run): string {
  const all = figuresOf(run, LINES);
  const parts = [machineText(run)];
  for (const table of TABLES) {
    const text = formatTable(table, all);
    if (text !== undefined) parts.push(text);
  }
  const targets = targetsTable(all);
  if (targets !== undefined) parts.push(targets);
  if (run.failed.length > 0) parts.push(`Failed:\n${run.failed.map((text) => `- ${text}`).join('\n')}`);
  return `${parts.join('\n\n')}\n`;
}

/** Where and when it was measured, and whether others disturbed it. */
export function machineText({ machine, rounds }: Pick<Run, 'machine' | 'rounds'>): string {
  const { cpu, cores, memoryGiB, os, fileSystem, node, natsServer, goServer, commit, date, loadAverage } =
    machine;
  const go = goServer === undefined ? '' : `, Go server ${goServer}`;
  const others =
    loadAverage > QUIET_LOAD
      ? ' Others were at work on this machine: rates and times are worse than they would be, and vary.'
      : '';
  return (
    `${cpu}, ${cores} cores, ${memoryGiB} GiB; ${os}, ${fileSystem}; Node ${node}, nats-server ${natsServer}${go}; ` +
    `stanchion ${commit}, ${date}; medians of ${rounds} ${rounds === 1 ? 'round' : 'rounds'}, load average at the start ${loadAverage.toFixed(1)}.${others}`
  );
}

/** What is missed, of all for which there is a figure. */
export function targetsTable(all: readonly LineFigures[]): string | undefined {
  const rows: string[][] = [];
  let reached = 0;
  for (const figures of all) {
    for (const target of figures.line.targets) {
      const found = figures.reached(target);
      if (found === undefined) continue;
      if (found.isReached) reached++;
      else rows.push([figures.line.title, ...missedCells(figures.line, target, found.value)]);
    }
  }
  if (rows.length === 0 && reached === 0) return undefined;
  if (rows.length === 0) return `All ${reached} targets are reached.`;
  return `${reached} of ${reached + rows.length} targets are reached. Missed:\n\n${markdownTable(['line', 'figure', 'measured', 'target'], rows)}`;
}

/** Names of programs have no article. */
function isOfOne(side: Side): boolean {
  return side !== 'stanchion' && side !== 'node-nats-streaming';
}

function missedCells(
  { subject }: Line,
  { figure, beside, atLeast, atMost }: Target,
  value: number,
): string[] {
  const { what, format } = FIGURES[figure];
  const side = subject === 'stanchion' ? '' : `${SIDE_NAMES[subject]}: `;
  const limit = (text: string): string => (atLeast === undefined ? `at most ${text}` : `at least ${text}`);
  if (beside === undefined) return [`${side}${what}`, format(value), limit(format(atLeast ?? atMost ?? 0))];
  const isShare = beside === 'floor' || beside === 'overwriting' || beside === 'stanchion';
  const relative = isShare ? percent : times;
  return [
    `${side}${what}, beside ${isOfOne(beside) ? 'the ' : ''}${SIDE_NAMES[beside]}`,
    relative(value),
    limit(relative(atLeast ?? atMost ?? 0)),
  ];
}
