import type { SeedReport } from './crew.js';
import { simulate } from './simulation.js';

/** Runs the seeds that it is given, one after the other. */
process.on('message', (seed: number) => {
  void run(seed).then((report) => process.send!(report));
});

async function run(seed: number): Promise<SeedReport> {
  try {
    const { trace: _, ...result } = await simulate(seed);
    return { seed, result };
  } catch (error) {
    return { seed, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
