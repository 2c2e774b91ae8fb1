import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { runCommand, wholeNumber } from '../harness/command.js';
import {
  allCases,
  caseName,
  chosenCases,
  fuzzFolder,
  judgeAll,
  lineOf,
  makeHistories,
  shuffled,
} from './cases.js';
import { HISTORIES } from './histories.js';
import type { Case, Outcome } from './judge.js';

const USAGE = `npm run fuzz:store -- [--seed 1]               damages small stores: one of each kind of damage to each of them
npm run fuzz:store -- --seconds N [--seed 1]   all damage in an order of the seed's, for so long
npm run fuzz:store -- --all                    all damage there is (some minutes)
npm run fuzz:store -- --history NAME           with one of the above: this history's store only
npm run fuzz:store -- --case 'HISTORY | DAMAGE | OPENER'   judges one case again`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      seconds: { type: 'string' },
      all: { type: 'boolean', default: false },
      history: { type: 'string' },
      case: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const seed = wholeNumber('seed', values.seed);
  const history = values.case?.split(' | ')[0] ?? values.history;
  const root = fuzzFolder();
  // The clock's timers do not keep a process alive.
  const keepAlive = setInterval(() => {}, 1000);
  try {
    const histories = await makeHistories(root, history === undefined ? HISTORIES : [history]);
    const untilMs =
      performance.now() +
      (values.seconds === undefined ? Infinity : wholeNumber('seconds', values.seconds) * 1000);
    const cases = ((): Case[] => {
      const all = allCases(histories);
      if (values.case !== undefined) return all.filter((one) => caseName(one) === values.case);
      if (values.all) return all;
      if (values.seconds !== undefined) return shuffled(all, seed);
      return chosenCases(histories, seed);
    })();
    if (cases.length === 0) throw new Error(`there is no such case: ${values.case}`);
    const counts = new Map<string, number>();
    const onOutcome = (one: Case, outcome: Outcome): void => {
      counts.set(outcome.kind, (counts.get(outcome.kind) ?? 0) + 1);
      if (outcome.kind === 'finding') console.log(lineOf(one, outcome.what, root));
      else if (values.case !== undefined) console.log(JSON.stringify(outcome));
    };
    const begunMs = performance.now();
    await judgeAll(cases, root, onOutcome, () => performance.now() > untilMs);
    const seconds = ((performance.now() - begunMs) / 1000).toFixed(1);
    const done = [...counts.values()].reduce((sum, count) => sum + count, 0);
    console.log(
      `${done} cases of ${histories.length} histories in ${seconds} s: ${[...counts].map(([kind, count]) => `${count} ${kind}`).join(', ')}`,
    );
    return counts.has('finding') ? 1 : 0;
  } finally {
    clearInterval(keepAlive);
    rmSync(root, { recursive: true, force: true });
  }
}

runCommand(main, USAGE);
