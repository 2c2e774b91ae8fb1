// What `npm test` runs: the formatter and linter, the type checker, then the tests. With files named, those tests alone.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './setup/run.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const TEST_TIMEOUT_MS = 10 * 60_000;
const FILES_AT_ONCE = 2;
const MAX_SKIPPED_SHOWN = 40;

const named = process.argv.slice(2);
const files = named.length > 0 ? named : testFiles(join(root, 'test')).map((path) => relative(root, path));
/** @type {string[]} */
const skipped = [];
/** @type {string[]} */
const failed = [];

if (named.length > 0) {
  skipped.push('lint and typecheck: only the named files were asked for');
} else {
  await step('lint (biome check)', ['node_modules/@biomejs/biome/bin/biome', 'check', '.']);
  await step('typecheck (tsc)', ['node_modules/typescript/bin/tsc', '-p', 'test/tsconfig.json']);
}
await runTests();

if (skipped.length > 0) {
  console.log('\nSkipped:');
  for (const line of skipped.slice(0, MAX_SKIPPED_SHOWN)) console.log(`  ${line}`);
  if (skipped.length > MAX_SKIPPED_SHOWN) console.log(`  and ${skipped.length - MAX_SKIPPED_SHOWN} more`);
} else {
  console.log('\nSkipped: nothing');
}
console.log(failed.length > 0 ? `FAILED: ${failed.join(', ')}` : 'All passed.');
process.exitCode = failed.length > 0 ? 1 : 0;

/**
 * @param {string} name
 * @param {string[]} args
 */
async function step(name, args) {
  console.log(`\n== ${name}`);
  if ((await run(process.execPath, args, { cwd: root })) !== 0) failed.push(name);
}

async function runTests() {
  if (files.length === 0) {
    failed.push('tests: there is none');
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'stanchion-test-'));
  const report = join(folder, 'skipped');
  await step(`tests (${files.length} files)`, [
    '--import',
    'tsx',
    '--test',
    `--test-concurrency=${FILES_AT_ONCE}`,
    `--test-timeout=${TEST_TIMEOUT_MS}`,
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=./scripts/skip-reporter.mjs',
    `--test-reporter-destination=${report}`,
    ...files,
  ]);
  skipped.push(...readFileSync(report, { encoding: 'utf8', flag: 'a+' }).split('\n').filter(Boolean));
  rmSync(folder, { recursive: true, force: true });
}

/**
 * @param {string} folder
 * @returns {string[]}
 */
function testFiles(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return testFiles(path);
      return entry.name.endsWith('.test.ts') ? [path] : [];
    });
}
