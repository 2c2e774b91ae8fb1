import { LEASE_DIRECTORY } from '../../src/files/store-folder.js';
import { FORMER_LEASE_DIRECTORY, MOVED } from '../../src/lease/carry-over.js';
import { parseLeaseFileName } from '../../src/lease/lease-state.js';
import { must } from '../../src/util/assert.js';
import { CUT_CHANNELS, enterFormerMessages, putFormerStore } from './former-store.js';
import type { Ledger } from './ledger.js';
import { DIR, type Machine, type Machines } from './machine.js';
import type { SimProcess } from './process.js';
import { type SimulationResult, simulate } from './simulation.js';

const STANDS_STILL_MS = [100, 5_000] as const;
/** The rename that moves the lease. */
const MOVES = `rename ${DIR}/${FORMER_LEASE_DIRECTORY}/`;
/** From that to the first journal of the term. */
const STEPS = 50;

/**
 * A group that begins on a store that release 0.1.0 has left, while clients and faults are at it. At one step of carrying the store over, the
 * member that takes it is killed or stands still. (Members of that release beside new ones are real processes: see test/upgrade.)
 */
class CarriedOver {
  #cluster: Machines | undefined;
  #stepsLeft = 0;
  /** Those that have begun to carry the store over. */
  readonly #carrying = new Set<SimProcess>();

  watch(node: Machine): void {
    node.process.strike = (at) => this.#step(node, at);
  }

  begin(cluster: Machines, ledger: Ledger): void {
    this.#cluster = cluster;
    this.#stepsLeft = cluster.world.random.below(STEPS);
    putFormerStore(cluster.disk);
    enterFormerMessages(ledger);
  }

  /** What is not as it should be in the end. */
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
export async function simulateCarriedStore(seed: number, isTraced = false): Promise<SimulationResult> {
  const carried = new CarriedOver();
  const result = await simulate(seed, {
    isTraced,
    mutation: {
      fs: (real, node) => {
        carried.watch(node);
        return real;
      },
    },
    begin: (cluster, ledger) => carried.begin(cluster, ledger),
    cutChannels: CUT_CHANNELS,
  });
  result.violations.push(...carried.problems());
  return result;
}
