import type { KeeperOptions, ReignKeeper } from '../../src/group/keeper.js';
import type { StoreFile, StoreFs } from '../../src/store/fs.js';
import type { Mutation, SimNode } from './cluster.js';
import { oneJournal } from './one-journal.js';
import { staleLockfile } from './stale-lockfile.js';

type Fence = (real: ReignKeeper, options: KeeperOptions, node: SimNode) => Promise<void>;

/** Changes the fence of every keeper, and leaves the rest. */
function withFence(fence: Fence, onKept: (real: ReignKeeper, node: SimNode) => void = () => {}): Mutation {
  return {
    keepReign: (keepReign, node) => (options) => {
      const real = keepReign(options);
      onKept(real, node);
      return {
        fence: () => fence(real, options, node),
        release: () => real.release(),
        stop: () => real.stop(),
        get renewedMs() {
          return real.renewedMs;
        },
        get renewalMs() {
          return real.renewalMs;
        },
      };
    },
  };
}

/** What is synced is told at once. */
const noFence = withFence(async () => {});

/** A lease that has not run out counts as much as a renewal: what brokers with leases do. */
const leaseByClock = withFence(async (real, { clock, leaseMs }) => {
  if (clock.monotonicMs() - real.renewedMs >= leaseMs) await real.fence();
});

/** The renewal runs beside the write, and not after it: it looks like a saving. */
function earlyFence(): Mutation {
  const keepers = new WeakMap<object, ReignKeeper>();
  const begun = new WeakMap<object, Promise<void>>();
  const fence: Fence = (real, _, { process }) => begun.get(process) ?? real.fence();
  return {
    ...withFence(fence, (real, { process }) => keepers.set(process, real)),
    fs: (real, { process }) => {
      const onWrite = (): void => {
        const renewal = keepers.get(process)?.fence();
        renewal?.catch(() => {});
        if (renewal !== undefined) begun.set(process, renewal);
      };
      const open: StoreFs['open'] = async (path, mode) => {
        const file = await real.open(path, mode);
        return mode === 'durable' ? new WatchedFile(file, onWrite) : file;
      };
      return new Proxy(real, {
        get: (target, name) => {
          if (name === 'open') return open;
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    },
  };
}

class WatchedFile implements StoreFile {
  readonly #file: StoreFile;
  readonly #onWrite: () => void;

  constructor(file: StoreFile, onWrite: () => void) {
    this.#file = file;
    this.#onWrite = onWrite;
  }

  write(...args: Parameters<StoreFile['write']>): void {
    this.#onWrite();
    this.#file.write(...args);
  }

  read(...args: Parameters<StoreFile['read']>): Promise<number> {
    return this.#file.read(...args);
  }

  size(): Promise<number> {
    return this.#file.size();
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** Ways to do it wrong, which the simulation must find. Made anew for each run. */
export const MUTANTS: Record<string, () => Mutation> = {
  'no fence': () => noFence,
  'a fence begun before the sync has ended': earlyFence,
  'no epoch in the names of files': () => ({ fs: oneJournal() }),
  'a lease by the clock instead of the fence': () => leaseByClock,
  "proper-lockfile's takeover of stale locks": () => ({ reign: staleLockfile(), ownsTime: true }),
};
