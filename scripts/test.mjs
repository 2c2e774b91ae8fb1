// What `npm test` runs: the formatter and linter, the type checker, then the tests. With files named, those tests alone.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNewestNatsServer } from './setup/newest-nats-server.mjs';
import { run } from './setup/run.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const TEST_TIMEOUT_MS = 10 * 60_000;
const FILES_AT_ONCE = 2;
const MAX_SKIPPED_SHOWN = 40;
/** What speaks to a nats-server: it runs with the installed one, and once more with the newest. */
const WITH_NATS = [
  ...['test/conformance/', 'test/crash/', 'test/link/', 'test/nats/', 'test/http/nats-pages.test.ts'],
];
/**
 * What the product promises of acked messages: a test of it that fails once in a thousand runs has found something, and is not
 * tried again. Others, at the mercy of a machine that stands still at the wrong moment, are tried once more, and told.
 */
const NEVER_TWICE = ['chaos', 'crash', 'drill', 'mount', 'sim', 'store'].map((folder) => `test/${folder}/`);
const MAX_TRIED_AGAIN = 2;

const named = process.argv.slice(2);
const files = named.length > 0 ? named : testFiles(join(root, 'test')).map((path) => relative(root, path));
/** @type {string[]} */
const skipped = [];
/** @type {string[]} */
const unsteady = [];
/** @type {string[]} */
const failed = [];

if (named.length > 0) {
  skipped.push('lint and typecheck: only the named files were asked for');
} else {
  await step('lint (biome check)', ['node_modules/@biomejs/biome/bin/biome', 'check', '.']);
  await step('typecheck (tsc)', ['node_modules/typescript/bin/tsc', '-p', 'test/tsconfig.json']);
}
await runTests('tests', files, process.env);
if (named.length === 0) await runWithNewestServer();

if (skipped.length > 0) {
  console.log('\nSkipped:');
  for (const line of skipped.slice(0, MAX_SKIPPED_SHOWN)) console.log(`  ${line}`);
  if (skipped.length > MAX_SKIPPED_SHOWN) console.log(`  and ${skipped.length - MAX_SKIPPED_SHOWN} more`);
} else {
  console.log('\nSkipped: nothing');
}
if (unsteady.length > 0) {
  console.log('\nUnsteady, passed when tried again (each is a defect of its own):');
  for (const line of unsteady) console.log(`  ${line}`);
}
console.log(failed.length > 0 ? `FAILED: ${failed.join(', ')}` : 'All passed.');
process.exitCode = failed.length > 0 ? 1 : 0;

/**
 * @param {string} name
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 */
async function step(name, args, env) {
  console.log(`\n== ${name}`);
  const isFine = (await run(process.execPath, args, { cwd: root, env })) === 0;
  if (!isFine) failed.push(name);
  return isFine;
}

/**
 * @param {string} name
 * @param {string[]} chosen
 * @param {NodeJS.ProcessEnv} env
 */
async function runTests(name, chosen, env) {
  if (chosen.length === 0) {
    failed.push(`${name}: there is none`);
    return;
  }
  const first = await runFiles(`${name} (${chosen.length} files)`, chosen, env);
  skipped.push(...first.skipped);
  const again = first.isFine || named.length > 0 ? undefined : filesToTryAgain(first.failed);
  if (again === undefined) return;
  const second = await runFiles(`once more: ${again.join(', ')}`, again, env);
  if (!second.isFine) return;
  failed.pop();
  unsteady.push(...first.failed.map((test) => `${test.name} (${test.file}): ${test.why}`));
}

/**
 * @param {string} title
 * @param {string[]} chosen
 * @param {NodeJS.ProcessEnv} env
 */
async function runFiles(title, chosen, env) {
  const folder = mkdtempSync(join(tmpdir(), 'stanchion-test-'));
  const report = join(folder, 'outcomes');
  const args = [
    '--import',
    'tsx',
    '--test',
    `--test-concurrency=${FILES_AT_ONCE}`,
    `--test-timeout=${TEST_TIMEOUT_MS}`,
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=./scripts/outcome-reporter.mjs',
    `--test-reporter-destination=${report}`,
    ...chosen,
  ];
  const isFine = await step(title, args, env);
  const lines = readFileSync(report, { encoding: 'utf8', flag: 'a+' }).split('\n').filter(Boolean);
  rmSync(folder, { recursive: true, force: true });
  /** @type {import('./outcome-reporter.mjs').Outcome[]} */
  const outcomes = lines.map((line) => JSON.parse(line));
  return {
    isFine,
    failed: outcomes.filter(({ outcome }) => outcome === 'failed'),
    skipped: outcomes
      .filter(({ outcome }) => outcome === 'skipped')
      .map(({ name, file, why }) => `${name}${file === undefined ? '' : ` (${file})`}: ${why}`),
  };
}

/**
 * @param {import('./outcome-reporter.mjs').Outcome[]} tests
 * @returns {string[] | undefined} undefined if what failed has failed
 */
function filesToTryAgain(tests) {
  /** @type {Set<string>} */
  const again = new Set();
  for (const { file } of tests) {
    if (file === undefined || NEVER_TWICE.some((folder) => file.startsWith(folder))) return undefined;
    again.add(file);
  }
  return again.size === 0 || again.size > MAX_TRIED_AGAIN ? undefined : [...again];
}

async function runWithNewestServer() {
  const built = await buildNewestNatsServer(root);
  if ('skipped' in built) {
    skipped.push(`the tests with the newest nats-server: ${built.skipped}`);
    return;
  }
  const path = `${dirname(built.binary)}${delimiter}${process.env.PATH ?? ''}`;
  const env = { ...process.env, PATH: path, STANCHION_TEST_NATS_SERVER: built.binary };
  const chosen = files.filter((file) => WITH_NATS.some((folder) => file.startsWith(folder)));
  await runTests(`tests with nats-server ${built.version}`, chosen, env);
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
