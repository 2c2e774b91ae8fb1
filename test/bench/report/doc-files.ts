import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { withFigures } from './docs.js';
import type { Run } from './run-figures.js';
import { runText } from './run-text.js';

const root = new URL('../../../', import.meta.url);
/** The figures that the docs show. */
export const DOCS_RUN = fileURLToPath(new URL('docs/performance.json', root));
/** The pages that show them. */
export const DOC_PAGES: readonly string[] = ['README.md', 'docs/performance.md'].map((page) =>
  fileURLToPath(new URL(page, root)),
);

/**
 * Keeps the figures, and writes the pages' tables from them.
 *
 * @throws Error if the run has no figures for one of the tables: then only the figures are kept
 */
export function writeDocs(run: Run): void {
  writeFileSync(DOCS_RUN, runText(run));
  const pages = DOC_PAGES.map((path) => [path, withFigures(readFileSync(path, 'utf8'), run)] as const);
  for (const [path, text] of pages) writeFileSync(path, text);
}
