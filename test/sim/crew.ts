import { type ChildProcess, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { SimulationResult } from './simulation.js';

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url));

/** What a worker says of a seed: the run as it went, or what broke the simulator itself. */
export type SeedReport =
  | { seed: number; result: Omit<SimulationResult, 'trace'> }
  | { seed: number; error: string };

/** What is run with a seed: a group, one that begins on a store of release 0.1.0, brokers without a group, or one of these that is turned into a group. */
export type Scenario = 'group' | 'update' | 'alone' | 'turn';

/**
 * Runs seeds in processes of their own, one for each processor.
 *
 * @param onReport called as they end, in no order
 */
export async function runSeeds(
  seeds: readonly number[],
  onReport: (report: SeedReport) => void,
  scenario: Scenario = 'group',
): Promise<void> {
  const waiting = seeds.toReversed();
  const crew = Math.min(availableParallelism(), seeds.length);
  await Promise.all(Array.from({ length: crew }, () => work(waiting, onReport, scenario)));
}

function work(waiting: number[], onReport: (report: SeedReport) => void, scenario: Scenario): Promise<void> {
  return new Promise((resolve, reject) => {
    const child: ChildProcess = fork(WORKER, [scenario], { execArgv: ['--import', 'tsx'] });
    const next = (): void => {
      const seed = waiting.pop();
      if (seed === undefined) child.disconnect();
      else child.send(seed);
    };
    child.on('message', (report: SeedReport) => {
      onReport(report);
      next();
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`a process of the simulation has ended: ${signal ?? `exit code ${code}`}`));
    });
    next();
  });
}
