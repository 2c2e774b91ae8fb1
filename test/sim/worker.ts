import type { Scenario, SeedReport } from './crew.js';
import { SCENARIOS } from './scenarios.js';

const run = SCENARIOS[process.argv[2] as Scenario];

/** Runs the seeds that it is given, one after the other. */
process.on('message', (seed: number) => {
  void report(seed).then((said) => process.send!(said));
});

async function report(seed: number): Promise<SeedReport> {
  try {
    const { trace: _, ...result } = await run(seed);
    return { seed, result };
  } catch (error) {
    return { seed, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
