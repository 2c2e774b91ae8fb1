import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { runCommand, wholeNumber } from '../harness/command.js';
import type { SimFs } from '../store/sim-fs.js';
import { caseName, cutsOf, judgePast } from './cases.js';
import { makePast, PASTS } from './pasts.js';

const USAGE = `npm run fuzz:power-cut -- [--seeds 3]     cuts the power behind every change of every past, with so many seeds, and the two extremes
npm run fuzz:power-cut -- --past NAME     of this past only
npm run fuzz:power-cut -- --every N       behind every Nth event only
npm run fuzz:power-cut -- --keep DIR      puts what the first finding has left there, to look at
No two runs record the same: how batches and checkpoints meet differs.`;
const MAX_SHOWN = 20;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '3' },
      past: { type: 'string' },
      every: { type: 'string', default: '1' },
      keep: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const { keep } = values;
  const every = wholeNumber('every', values.every);
  const seeds = Array.from({ length: wholeNumber('seeds', values.seeds) + 2 }, (_, i) => i);
  // The clock's timers do not keep a process alive.
  const keepAlive = setInterval(() => {}, 1000);
  const begunMs = performance.now();
  let done = 0;
  let wrong = 0;
  try {
    for (const name of values.past === undefined ? PASTS : [values.past]) {
      const past = await makePast(name);
      console.log(`${name}: ${past.events.length} events, ${cutsOf(past).length} of the disk`);
      const seedsOf = (at: number): readonly number[] => (at % every === 0 ? seeds : []);
      await judgePast(past, seedsOf, (one, problem, left) => {
        done++;
        if (problem === undefined) return;
        if (++wrong <= MAX_SHOWN) console.log(`${caseName(one)}:\n  ${problem}`);
        if (wrong === 1 && keep !== undefined) put(left(), keep);
      });
    }
    console.log(`${done} cuts in ${((performance.now() - begunMs) / 1000).toFixed(1)} s: ${wrong} findings`);
    return wrong > 0 ? 1 : 0;
  } finally {
    clearInterval(keepAlive);
  }
}

/** Puts the files of an image into a folder. */
function put(image: SimFs, dir: string): void {
  for (const file of image.paths()) {
    const target = path.join(dir, file);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.writeFileSync(target, image.content(file));
  }
}

runCommand(main, USAGE);
