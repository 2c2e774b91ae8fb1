import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChaos } from './chaos.js';
import { Story } from './chaos-log.js';
import { type RunOptions, readOptions, USAGE } from './options.js';
import { OF_CALLS, planOf } from './plan.js';
import { furnish, isInside, runInside, whyNoSandbox } from './sandbox.js';

async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (options.wantsHelp) {
    console.log(USAGE);
    return 0;
  }
  if (!isInside()) {
    const why = whyNoSandbox([['iptables', ['--version']]]);
    if (why === false) return runInside(fileURLToPath(import.meta.url), args);
    console.error(`It cannot be run here: it ${why}.`);
    return 1;
  }
  furnish();
  return run(options, args);
}

async function run(options: RunOptions, args: readonly string[]): Promise<number> {
  const { seed, hosts, faults, patienceMs, doesKeep, isQuiet } = options;
  const dir = mkdtempSync(join(tmpdir(), `stanchion-chaos-${seed}-`));
  const story = new Story(dir, !isQuiet);
  const plan = planOf(options);
  const { steps, ...settings } = plan;
  story.tell(`seed ${seed}, ${steps.length} steps: ${JSON.stringify(settings)}`);
  process.on('SIGINT', () => {
    console.error(`Broken off. The logs are in ${dir}`);
    process.exit(130);
  });
  const fail = (error: Error): void => story.violate(error.stack ?? String(error));
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', (error) => fail(error as Error));
  try {
    const needsDisk = faults.includes('full');
    const strikesCalls = faults.some((kind) => OF_CALLS.includes(kind));
    const result = await runChaos({ hosts, plan, needsDisk, strikesCalls, patienceMs, story });
    story.tell(JSON.stringify(result));
  } catch (error) {
    fail(error as Error);
  }
  const { violations, lines } = story;
  if (violations.length === 0) {
    console.log(`PASSED: seed ${seed}, ${lines.at(-1)}`);
    if (!doesKeep) rmSync(dir, { recursive: true, force: true });
    return 0;
  }
  if (isQuiet) console.log(lines.join('\n'));
  console.log(`FAILED: seed ${seed}\n  ${violations.join('\n  ')}`);
  console.log(`Again: npm run chaos -- ${args.join(' ')}\nThe logs are in ${dir}`);
  return 1;
}

main(process.argv.slice(2)).then(
  // Whatever still runs ends with this process.
  (exitCode) => process.exit(exitCode),
  (error: Error) => {
    console.error(`${error.message}\n${USAGE}`);
    process.exit(2);
  },
);
