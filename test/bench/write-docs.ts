/**
 * Writes the tables of README.md and docs/performance.md from the figures of a run.
 *
 *   node --import tsx test/bench/write-docs.ts [RUN.json]
 *
 * RUN.json is what `npm run bench -- --json` printed [docs/performance.json].
 */
import { readFileSync } from 'node:fs';
import { DOCS_RUN, writeDocs } from './report/doc-files.js';
import type { Run } from './report/run-figures.js';

const path = process.argv[2] ?? DOCS_RUN;
writeDocs(JSON.parse(readFileSync(path, 'utf8')) as Run);
