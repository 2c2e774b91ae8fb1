// What `npm test` runs: the formatter and linter, the type checker, then the tests of all suites, and some of them again with
// the newest nats-server. `--suite NAME` runs one suite; with files or folders named, those tests run alone.
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { goServer } from './setup/go-server.mjs';
import { buildNewestNatsServer } from './setup/newest-nats-server.mjs';
import { run } from './setup/run.mjs';
import { runsWithNewestServer, suites, testFiles } from './suites.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const TEST_TIMEOUT_MS = 10 * 60_000;
/** One more than there are processors: most files wait for leases, heartbeats and ack waits for much of their time. */
const FILES_AT_ONCE = availableParallelism() + 1;
const MAX_SKIPPED_SHOWN = 40;
const SLOW_FILES_SHOWN = 5;

const { values, positionals: named } = parseArgs({
  options: { suite: { type: 'string' } },
  allowPositionals: true,
});
const isAll = values.suite === undefined && named.length === 0;
const files = chosenFiles();
/** @type {string[]} */
const skipped = [];
/** @type {string[]} */
const failed = [];

if (isAll) {
  await step('lint (biome check)', ['node_modules/@biomejs/biome/bin/biome', 'check', '.']);
  await step('typecheck (tsc)', ['node_modules/typescript/bin/tsc', '-p', 'test/tsconfig.json']);
} else {
  skipped.push('lint, typecheck and the newest nats-server: only some tests were asked for');
}
const binary = isAll ? await goServer(root) : undefined;
const env = binary === undefined ? process.env : { ...process.env, GO_SERVER: binary };
await runTests(values.suite === undefined ? 'tests' : `${values.suite} tests`, files, env);
if (isAll) await runWithNewestServer();

if (skipped.length > 0) {
  console.log('\nSkipped:');
  for (const line of skipped.slice(0, MAX_SKIPPED_SHOWN)) console.log(`  ${line}`);
  if (skipped.length > MAX_SKIPPED_SHOWN) console.log(`  and ${skipped.length - MAX_SKIPPED_SHOWN} more`);
} else {
  console.log('\nSkipped: nothing');
}
console.log(failed.length > 0 ? `FAILED: ${failed.join(', ')}` : 'All passed.');
process.exitCode = failed.length > 0 ? 1 : 0;

/** The suites are put together also when none is asked for: a test without one is an error. */
function chosenFiles() {
  const bySuite = suites(root);
  if (named.length > 0)
    return named
      .flatMap((path) => (isFolder(join(root, path)) ? testFiles(join(root, path)) : join(root, path)))
      .map((path) => relative(root, path));
  if (values.suite === undefined) return Object.values(bySuite).flat();
  const suite = bySuite[values.suite];
  if (suite === undefined)
    throw new Error(`there is no suite ${values.suite}: there are ${Object.keys(bySuite).join(', ')}`);
  return suite;
}

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
  const report = join(folder, 'report');
  const args = [
    '--import',
    'tsx',
    '--test',
    `--test-concurrency=${FILES_AT_ONCE}`,
    `--test-timeout=${TEST_TIMEOUT_MS}`,
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=./scripts/test-reporter.mjs',
    `--test-reporter-destination=${report}`,
    ...chosen,
  ];
  await step(`${name} (${chosen.length} files)`, args, env);
  const lines = readFileSync(report, { encoding: 'utf8', flag: 'a+' }).split('\n').filter(Boolean);
  rmSync(folder, { recursive: true, force: true });
  /** @type {{ file: string, ms: number }[]} */
  const times = [];
  for (const line of lines) {
    const entry = JSON.parse(line);
    if ('skipped' in entry) skipped.push(entry.skipped);
    else times.push(entry);
  }
  times.sort((a, b) => b.ms - a.ms);
  console.log('\nThe slowest files:');
  for (const { file, ms } of times.slice(0, SLOW_FILES_SHOWN))
    console.log(`  ${(ms / 1000).toFixed(1).padStart(5)} s  ${file}`);
}

async function runWithNewestServer() {
  const built = await buildNewestNatsServer(root);
  if ('skipped' in built) {
    skipped.push(`the tests with the newest nats-server: ${built.skipped}`);
    return;
  }
  const path = `${dirname(built.binary)}${delimiter}${process.env.PATH ?? ''}`;
  const env = { ...process.env, PATH: path, STANCHION_TEST_NATS_SERVER: built.binary };
  await runTests(`tests with nats-server ${built.version}`, files.filter(runsWithNewestServer), env);
}
