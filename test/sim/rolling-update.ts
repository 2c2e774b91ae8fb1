import { LEASE_DIRECTORY } from '../../src/files/store-folder.js';
import { FORMER_LEASE_DIRECTORY, MOVED } from '../../src/lease/carry-over.js';
import { parseLeaseFileName } from '../../src/lease/lease-state.js';
import { must } from '../../src/util/assert.js';
import { asFormerProgram } from '../store/former/former-store.js';
import { DIR, type Machine, type Machines } from './machine.js';
import type { SimProcess } from './process.js';
import { type SimulationResult, simulate, WEIGHTS } from './simulation.js';

/** Members of 0.1.0 serve for a while first. */
const FIRST_UPDATE_MS = [1_500, 5_000] as const;
const NEXT_UPDATE_MS = [100, 3_000] as const;
const STANDS_STILL_MS = [100, 5_000] as const;
/** The rename that moves the lease. */
const MOVES = `rename ${DIR}/${FORMER_LEASE_DIRECTORY}/`;
/** From that to the first journal of the term. */
const STEPS = 50;

/**
 * A group of release 0.1.0 that is updated, one member after the other, while clients and faults are at it. At one step of carrying the
 * store over, the member that takes it is killed or stands still.
 */
class RollingUpdate {
  readonly #updated = new Set<Machine>();
  #cluster: Machines | undefined;
  #stepsLeft = 0;
  /** Those that have begun to carry the store over. */
  readonly #carrying = new Set<SimProcess>();

  fsOf(real: Machine['mount'], node: Machine): ReturnType<typeof asFormerProgram> {
    if (!this.#updated.has(node)) return asFormerProgram(real, DIR);
    node.process.strike = (at) => this.#step(node, at);
    return real;
  }

  begin(cluster: Machines): void {
    const { world } = cluster;
    this.#cluster = cluster;
    this.#stepsLeft = world.random.below(STEPS);
    let atMs = world.between(...FIRST_UPDATE_MS);
    const waiting = [...cluster.nodes];
    while (waiting.length > 0) {
      const [node] = waiting.splice(world.random.below(waiting.length), 1) as [Machine];
      world.after(atMs, () => this.#update(node));
      atMs += world.between(...NEXT_UPDATE_MS);
    }
  }

  /** What is not as it should be once all members are updated. */
  problems(): string[] {
    const { world, disk } = must(this.#cluster, 'the run has begun');
    const { directories } = disk;
    const names = (folder: string): string[] => [
      ...(directories.get(`${DIR}/${folder}`)?.names.keys() ?? []),
    ];
    const found: string[] = [];
    const states = names(LEASE_DIRECTORY).filter((name) => parseLeaseFileName(name) !== undefined);
    if (states.length !== 1)
      found.push(`${states.length} states in ${LEASE_DIRECTORY}/: ${names(LEASE_DIRECTORY)}`);
    const left = names(FORMER_LEASE_DIRECTORY).filter((name) => !name.startsWith('look.'));
    // There may have been no room for the note.
    const isNoted = left.join() === MOVED || (left.length === 0 && (world.faults['disk full'] ?? 0) > 0);
    if (!isNoted) found.push(`${FORMER_LEASE_DIRECTORY}/ holds ${left}`);
    return found;
  }

  #update(node: Machine): void {
    const { world } = must(this.#cluster, 'the run has begun');
    world.note(() => `UPDATE of ${node.name}`);
    this.#updated.add(node);
    if (world.chance(0.7)) node.stop();
    else node.kill(false);
    const look = (): void => {
      if (node.process.isDead) node.start();
      else world.after(50, look);
    };
    world.after(50, look);
  }

  #step(node: Machine, at: string): void {
    const { process } = node;
    if (at.startsWith(MOVES)) this.#carrying.add(process);
    if (!this.#carrying.has(process) || this.#stepsLeft-- !== 0) return;
    const { world } = must(this.#cluster, 'the run has begun');
    world.note(() => `STEP ${at}: ${process.name} is struck`);
    world.count('struck while it carries over');
    process.pauseNow(world.chance(0.5) ? 'stopped' : 'frozen');
    if (world.chance(0.5)) world.after(0, () => process === node.process && node.kill(false));
    world.after(world.between(...STANDS_STILL_MS), () => {
      process.resume();
      if (node.process.isDead) node.start();
    });
  }
}

/** One run by its seed, as `simulate`. */
export async function simulateUpdate(seed: number, isTraced = false): Promise<SimulationResult> {
  const update = new RollingUpdate();
  const result = await simulate(seed, {
    isTraced,
    // Members of 0.1.0 believe what they hear.
    weights: { ...WEIGHTS, 'forged talk': 0 },
    mutation: { fs: (real, node) => update.fsOf(real as Machine['mount'], node) },
    begin: (cluster) => update.begin(cluster),
  });
  result.violations.push(...update.problems());
  return result;
}
