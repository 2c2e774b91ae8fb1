import { LINES } from '../lines/table.js';
import { machineText, targetsTable } from './report.js';
import { figuresOf, type Run } from './run-figures.js';
import { formatTable, TABLES } from './tables.js';

/** What stands between two marks of a page: `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`. */
const BLOCK = /<!-- bench:([\w-]+) -->\n[\s\S]*?<!-- \/bench:\1 -->/g;

/**
 * The page with the figures of a run between its marks.
 *
 * @throws Error if a mark names no table, or the run has no figures for it
 */
export function withFigures(page: string, run: Run): string {
  const all = figuresOf(run, LINES);
  return page.replace(BLOCK, (_, name: string) => {
    const text = blockText(name, run, all);
    if (text === undefined) throw new Error(`bench: the run has no figures for the table ${name}`);
    return `<!-- bench:${name} -->\n${text}\n<!-- /bench:${name} -->`;
  });
}

function blockText(name: string, run: Run, all: ReturnType<typeof figuresOf>): string | undefined {
  if (name === 'machine') return machineText(run);
  if (name === 'targets') return targetsTable(all);
  const table = TABLES.find((candidate) => candidate.name === name);
  if (table === undefined) throw new Error(`bench: a mark of the docs names no table: ${name}`);
  return formatTable(table, all);
}
