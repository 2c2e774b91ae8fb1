import { parseArgs } from 'node:util';
import { MUTANTS } from './mutants.js';
import { simulate } from './simulation.js';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    first: { type: 'string', default: '1' },
    seed: { type: 'string' },
    mutant: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
});
const first = Number(values.seed ?? values.first);
const count = values.seed === undefined ? Number(values.seeds) : 1;
let bad = 0;
let takeovers = 0;
const faults: Record<string, number> = {};
const begun = performance.now();
for (let seed = first; seed < first + count; seed++) {
  const mutant = values.mutant === undefined ? undefined : Object.values(MUTANTS)[Number(values.mutant)]!;
  const result = await simulate(seed, {
    isTraced: values.trace,
    ...(mutant && { mutation: mutant.make(), faults: mutant.faults }),
  });
  takeovers += result.takeovers;
  if (process.env.V) console.log(seed, result.takeovers, result.ms, Math.round(performance.now() - begun));
  for (const [kind, n] of Object.entries(result.faults)) faults[kind] = (faults[kind] ?? 0) + n;
  if (values.trace) console.log(result.trace.join('\n'));
  if (result.violations.length > 0) {
    bad++;
    console.log(`seed ${seed}:\n  ${result.violations.slice(0, 6).join('\n  ')}`);
  }
}
console.log({ count, bad, takeovers, faults, s: (performance.now() - begun) / 1000 });
