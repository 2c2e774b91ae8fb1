import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runCommand, wholeNumber } from '../../harness/command.js';
import { judge, wholeStores } from './fuzz-case.js';

const USAGE = `npm run fuzz:go-files -- [--cases 1000] [--seed 1]   damages the kept stores of Go servers, one file in each case;
a finding names its seed: --cases 1 --seed N repeats it`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      cases: { type: 'string', default: '1000' },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const first = wholeNumber('seed', values.seed);
  const end = first + wholeNumber('cases', values.cases);
  const root = mkdtempSync(join(tmpdir(), 'stanchion-go-fuzz-'));
  const counts = new Map<string, number>();
  try {
    const stores = await wholeStores(root);
    for (let seed = first; seed < end; seed++) {
      const store = stores[seed % stores.length];
      if (store === undefined) throw new Error('there are no stores');
      const outcome = await judge(store, seed).catch((error: Error) => {
        console.log(error.message);
        return 'finding';
      });
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
  console.log([...counts].map(([outcome, count]) => `${count} ${outcome}`).join(', '));
  return counts.has('finding') ? 1 : 0;
}

runCommand(main, USAGE);
