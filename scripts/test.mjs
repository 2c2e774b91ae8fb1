// What `npm test` runs: the formatter and linter, the type checker, then the tests. With files or folders named, those tests alone.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
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

const named = process.argv.slice(2);
const files = (named.length > 0 ? named : ['test'])
  .flatMap((path) => (isFolder(join(root, path)) ? testFiles(join(root, path)) : join(root, path)))
  .map((path) => relative(root, path));
/** @type {string[]} */
const skipped = [];
/** @type {string[]} */
const failed = [];

if (named.length > 0) {
  skipped.push('lint and typecheck: only some tests were asked for');
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
console.log(failed.length > 0 ? `FAILED: ${failed.join(', ')}` : 'All passed.');
process.exitCode = failed.length > 0 ? 1 : 0;

/** @param {string} path */
function isFolder(path) {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/**
 * @param {string} name
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 */
async function step(name, args, env) {
  console.log(`\n== ${name}`);
  if ((await run(process.execPath, args, { cwd: root, env })) !== 0) failed.push(name);
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
  const folder = mkdtempSync(join(tmpdir(), 'stanchion-test-'));
  const report = join(folder, 'skipped');
  const args = [
    '--import',
    'tsx',
    '--test',
    `--test-concurrency=${FILES_AT_ONCE}`,
    `--test-timeout=${TEST_TIMEOUT_MS}`,
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=./scripts/skip-reporter.mjs',
    `--test-reporter-destination=${report}`,
    ...chosen,
  ];
  await step(`${name} (${chosen.length} files)`, args, env);
  skipped.push(...readFileSync(report, { encoding: 'utf8', flag: 'a+' }).split('\n').filter(Boolean));
  rmSync(folder, { recursive: true, force: true });
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
