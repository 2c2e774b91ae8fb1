import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock/clock.js';
import type { ServeConfig } from '../config/serve-config.js';
import type { Logger } from '../log/logger.js';
import { MemoryStore } from './memory.js';
import type { Store } from './types.js';

export interface OpenStoreOptions {
  clock: Clock;
  log: Logger;
  /** Another broker has taken the store, or it cannot be reached: nothing more may be said to clients. */
  onLost: (error: Error) => void;
}

/** Opens the store that the configuration names, for this process alone. */
export async function openStore(config: ServeConfig, options: OpenStoreOptions): Promise<Store> {
  const { clock } = options;
  if (config.store.kind === 'memory') return new MemoryStore({ clock, random: randomBytes });
  throw new Error('the file store is not there yet');
}
