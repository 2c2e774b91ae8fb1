import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Clock } from '../clock/clock.js';
import type { ServeConfig } from '../config/serve-config.js';
import { nodeFs } from '../files/fs.js';
import { candidateLock } from '../lease/candidate-lock.js';
import { claimStore } from '../lease/exclusive.js';
import { machineProcesses } from '../lease/process-identity.js';
import { StoreAnchor } from '../lease/store-anchor.js';
import type { Logger } from '../log/logger.js';
import type { Measures } from '../measures/measures.js';
import { checkIdentity } from '../store/file/identity.js';
import { openFileStore } from '../store/file/open-file-store.js';
import { MemoryStore } from '../store/memory/memory-store.js';
import type { Store } from '../store/types/store.js';

export interface OpenStoreOptions {
  clock: Clock;
  log: Logger;
  measures: Measures;
  /** Another broker has taken the store, or it cannot be reached: nothing more may be said to clients. */
  onLost: (error: Error) => void;
  /** Whoever opens does not wait for the store any more. What is read already is read to its end. */
  signal?: AbortSignal;
}

/**
 * Opens the store that the configuration names, for this process alone.
 *
 * @throws StoreError saying what is in the way and what to do; the signal's reason
 */
export async function openStore(config: ServeConfig, options: OpenStoreOptions): Promise<Store> {
  const { clock, log, measures, onLost, signal } = options;
  const warn = (message: string): void => log.warn({}, message);
  if (config.store.kind === 'memory') return new MemoryStore({ clock, random: randomBytes, measures, warn });
  const { dir } = config.store;
  const fs = nodeFs;
  const { clusterId, nodeName } = config;
  // A store that is not ours is not touched, not even to claim it.
  await checkIdentity(fs, dir, clusterId);
  const processes = machineProcesses(fs, hostname(), process.pid);
  // Timers of the clock do not keep a process alive, and watching a holder is nothing but timers.
  const keepAlive = setInterval(() => {}, 1000);
  const anchor = new StoreAnchor(fs, dir);
  const claim = await claimStore({
    fs,
    clock,
    dir,
    nodeName,
    processes,
    lock: candidateLock(fs, dir, warn),
    lookAtPlace: () => anchor.look(),
    onLost,
    signal,
  }).finally(() => clearInterval(keepAlive));
  try {
    signal?.throwIfAborted();
    const store = await openFileStore({
      fs,
      clock,
      random: randomBytes,
      dir,
      clusterId,
      epoch: claim.epoch,
      fence: () => claim.confirm(),
      sync: config.store.sync,
      warn,
      measures,
    });
    store.onClosed = () => {
      anchor.close();
      return claim.release();
    };
    return store;
  } catch (error) {
    anchor.close();
    await claim.release();
    throw error;
  }
}
