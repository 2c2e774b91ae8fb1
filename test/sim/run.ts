import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { runCommand, wholeNumber } from '../harness/command.js';
import { runSeeds, type Scenario } from './crew.js';
import { digests } from './digests.js';
import { SCENARIOS } from './scenarios.js';
import { Tally } from './tally.js';

const USAGE = `npm run sim -- [--seeds 200] [--first 1]   runs so many seeds, from the first on
npm run sim -- --fresh [--seeds 200]       runs so many that were never run before, taken by chance
npm run sim -- --digests [--seeds 40]      prints a digest of each seed's run, to compare two versions of the code
npm run sim -- --update [--seeds 200]      the same with a group that begins on a store of release 0.1.0
npm run sim -- --alone [--seeds 200]       the same with brokers without a group, on one store
npm run sim -- --turn [--seeds 200]        the same with a broker without a group that is turned into a group
npm run sim -- --seed N                    replays one, and tells what happened, line by line`;

/** Fresh seeds begin here: nobody counts from 1 up to it. The generator takes numbers of 32 bits. */
const FIRST_FRESH = 1_000_000_000;
const SEEDS_END = 2 ** 32;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '200' },
      first: { type: 'string' },
      fresh: { type: 'boolean', default: false },
      digests: { type: 'boolean', default: false },
      update: { type: 'boolean', default: false },
      alone: { type: 'boolean', default: false },
      turn: { type: 'boolean', default: false },
      seed: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  if (values.fresh && (values.seed ?? values.first) !== undefined) {
    throw new Error('--fresh takes seeds by chance: it goes with neither --seed nor --first');
  }
  const scenarios = (['update', 'alone', 'turn'] as const).filter((name) => values[name]);
  if (scenarios.length > 1)
    throw new Error(`${scenarios.map((name) => `--${name}`).join(' and ')} do not go together`);
  const scenario: Scenario = scenarios[0] ?? 'group';
  if (values.digests && scenarios.length > 0)
    throw new Error(`--digests is for groups: it does not go with --${scenario}`);
  if (values.seed !== undefined) return replay(wholeNumber('seed', values.seed), scenario);
  const count = wholeNumber('seeds', values.seeds);
  const first = values.fresh
    ? randomInt(FIRST_FRESH, SEEDS_END - count)
    : wholeNumber('first', values.first ?? '1');
  if (values.digests) {
    for await (const line of digests(first, count)) console.log(line);
    return 0;
  }
  if (values.fresh)
    console.log(`seeds ${first} to ${first + count - 1}: again with --first ${first} --seeds ${count}`);
  const tally = new Tally(scenario);
  const begunMs = performance.now();
  await runSeeds(
    Array.from({ length: count }, (_, i) => first + i),
    (report) => {
      for (const line of tally.add(report)) console.log(line);
      if (process.stderr.isTTY)
        process.stderr.write(`\r${tally.seeds} of ${count} seeds, ${tally.failed.length} failed `);
    },
    scenario,
  );
  if (process.stderr.isTTY) process.stderr.write('\n');
  console.log(tally.report((performance.now() - begunMs) / 1000));
  return tally.failed.length === 0 ? 0 : 1;
}

/** The same run again, with its story. */
async function replay(seed: number, scenario: Scenario): Promise<number> {
  const { trace, violations } = await SCENARIOS[scenario](seed, true);
  console.log(trace.join('\n'));
  console.log(violations.length === 0 ? 'No violations.' : `VIOLATIONS\n  ${violations.join('\n  ')}`);
  return violations.length === 0 ? 0 : 1;
}

runCommand(main, USAGE);
