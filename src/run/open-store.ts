import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Clock } from '../clock/clock.js';
import type { ServeConfig } from '../config/serve-config.js';
import { nodeFs } from '../files/fs.js';
import { candidateLock } from '../lease/candidate-lock.js';
import { Lease } from '../lease/lease.js';
import { startQuickRenewer } from '../lease/lease-renewer.js';
import { machineProcesses } from '../lease/process-identity.js';
import { StoreAnchor } from '../lease/store-anchor.js';
import type { Logger } from '../log/logger.js';
import type { Measures } from '../measures/measures.js';
import { MemoryStore } from '../store/memory/memory-store.js';
import type { Store } from '../store/types/store.js';
import { bootIdOf } from './boot-id.js';
import { logMadeStore } from './made-store.js';
import { openLoneStore } from './open-lone-store.js';

export interface OpenStoreOptions {
  clock: Clock;
  log: Logger;
  measures: Measures;
  /** Called when another broker has taken the store, or the store cannot be reached: clients must get no more answers. */
  onLost: (error: Error) => void;
  /** Gives up waiting for the store. A recovery that has begun goes on to its end. */
  signal?: AbortSignal;
}

/**
 * Opens the store that the configuration names, for this process alone.
 *
 * @throws StoreError saying what is in the way and what to do; the signal's reason
 */
export async function openStore(config: ServeConfig, options: OpenStoreOptions): Promise<Store> {
  const { clock, log, measures, onLost, signal } = options;
  const { clusterId, nodeName, store: wanted } = config;
  const warn = (message: string): void => log.warn({}, message);
  if (wanted.kind === 'memory') return new MemoryStore({ clock, random: randomBytes, measures, warn });
  const { dir, sync } = wanted;
  const fs = nodeFs;
  const anchor = new StoreAnchor(fs, dir);
  // The clock's timers do not keep a process alive, and watching a holder uses nothing else.
  const keepAlive = setInterval(() => {}, 1000);
  try {
    return await openLoneStore({
      clock,
      store: {
        ...{ fs, random: randomBytes, dir, clusterId, sync, warn, measures, bootId: bootIdOf() },
        onClosed: async () => anchor.close(),
        onMade: logMadeStore(log, dir),
      },
      lease: {
        lease: new Lease(fs, dir, true),
        lock: candidateLock(fs, dir, warn),
        startRenewer: startQuickRenewer,
        processes: machineProcesses(fs, hostname(), process.pid),
        nodeName,
        lookAtPlace: () => anchor.look(),
        onLost,
        onWait: (text, waitMs) => log.info({ waitMs }, text),
        signal,
      },
    });
  } catch (error) {
    anchor.close();
    throw error;
  } finally {
    clearInterval(keepAlive);
  }
}
