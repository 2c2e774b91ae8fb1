import { simulateCarriedStore } from './carried-store.js';
import type { Scenario } from './crew.js';
import { simulateLoneToGroup } from './lone-to-group.js';
import { type SimulationResult, simulate, simulateAlone } from './simulation.js';

/** How each scenario is run. */
export const SCENARIOS: Record<Scenario, (seed: number, isTraced?: boolean) => Promise<SimulationResult>> = {
  group: (seed, isTraced = false) => simulate(seed, { isTraced }),
  update: simulateCarriedStore,
  turn: (seed, isTraced = false) => simulateLoneToGroup(seed, { isTraced }),
  alone: (seed, isTraced = false) => simulateAlone(seed, { isTraced }),
};
