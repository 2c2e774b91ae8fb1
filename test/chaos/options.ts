import { parseArgs } from 'node:util';
import { FAULTS, type FaultKind } from './plan.js';

export const USAGE = `npm run chaos -- [--seed 1] [--steps 8] [--faults a,b,c] [--hosts 3] [--patience 10] [--keep] [--quiet]
  --faults  some of ${FAULTS.join(', ')}
  --patience  seconds after the last fault of a step within which somebody has to serve
  --keep    keeps the logs and the store also if nothing was wrong
  --quiet   tells what went wrong only`;

export interface RunOptions {
  seed: number;
  steps: number;
  hosts: number;
  faults: readonly FaultKind[];
  patienceMs: number;
  doesKeep: boolean;
  isQuiet: boolean;
  wantsHelp: boolean;
}

/** @throws Error naming what cannot be */
export function readOptions(args: readonly string[]): RunOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string', default: '1' },
      steps: { type: 'string', default: '8' },
      hosts: { type: 'string', default: '3' },
      faults: { type: 'string', default: FAULTS.join(',') },
      patience: { type: 'string', default: '10' },
      keep: { type: 'boolean', default: false },
      quiet: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  return {
    seed: whole('seed', values.seed, 2 ** 32 - 1),
    steps: whole('steps', values.steps, 10_000),
    hosts: whole('hosts', values.hosts, 9),
    faults: values.faults.split(',').map(kindOf),
    patienceMs: whole('patience', values.patience, 600) * 1_000,
    doesKeep: values.keep,
    isQuiet: values.quiet,
    wantsHelp: values.help,
  };
}

function kindOf(name: string): FaultKind {
  const kind = FAULTS.find((known) => known === name);
  if (kind === undefined) throw new Error(`--faults: there is no "${name}"`);
  return kind;
}

function whole(flag: string, text: string, max: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > max)
    throw new Error(`--${flag} must be a whole number from 1 to ${max}`);
  return value;
}
