import { Broker } from '../../broker/broker.js';
import type { BrokerParts } from '../../broker/wire.js';
import type { RecoveryReport } from '../../measures/recovery-report.js';
import type { FileStore } from '../../store/file/file-store.js';
import type { FileStoreOptions } from '../../store/file/file-store-options.js';
import { openFileStore } from '../../store/file/open-file-store.js';
import type { TransportLink } from '../talk/nats-transport.js';
import type { OpenService, Service, ServiceOptions } from './service.js';

export interface ActiveServiceOptions {
  /** Options of the store, except those of a term. */
  store: Omit<FileStoreOptions, 'epoch' | 'served' | 'fence' | 'calls'>;
  /** Options of the broker, except those of a term. */
  broker: Omit<BrokerParts, 'store' | 'onFailed'>;
}

/** How long the last answers may take to reach NATS. */
const LAST_FLUSH_MS = 1_000;
/** Limit for the checkpoint before a handover: it makes the takeover quicker, and is not worth a longer wait. */
const CHECKPOINT_MS = 1_000;
const LOOK_MS = 5;

/** Opens the real service: it recovers the file store, and puts a broker on it. */
export function activeService(options: ActiveServiceOptions): OpenService {
  return async ({ epoch, served, fence, calls, onFailed }) => {
    const store = await openFileStore({ ...options.store, epoch, served, fence, calls });
    try {
      return new ActiveService(options, store, onFailed);
    } catch (error) {
      // The broker has ended the store already: only its files are left to close.
      await store.close();
      throw error;
    }
  };
}

class ActiveService implements Service {
  readonly storeId: string;
  readonly report: RecoveryReport;
  readonly broker: Broker;
  readonly #store: FileStore;
  readonly #options: ActiveServiceOptions;

  constructor(options: ActiveServiceOptions, store: FileStore, onFailed: ServiceOptions['onFailed']) {
    this.#options = options;
    this.#store = store;
    this.storeId = store.storeId;
    this.report = store.upkeep.report;
    this.broker = new Broker({ ...options.broker, store, onFailed });
  }

  get isSynced(): boolean {
    return this.#store.isSynced;
  }

  get writingSinceMs(): number | undefined {
    return this.#store.upkeep.writingSinceMs;
  }

  async checkpoint(): Promise<void> {
    const { clock } = this.#options.store;
    const until = clock.monotonicMs() + CHECKPOINT_MS;
    this.#store.upkeep.checkpoint();
    while (this.#store.upkeep.isCheckpointing && clock.monotonicMs() < until) await this.#pass(LOOK_MS);
  }

  async drain(link: TransportLink | undefined): Promise<void> {
    this.broker.drain();
    await this.#store.close();
    if (link !== undefined) await Promise.race([link.flush().catch(() => {}), this.#pass(LAST_FLUSH_MS)]);
  }

  async abandon(): Promise<void> {
    try {
      this.broker.stop();
    } finally {
      await this.#store.close();
    }
  }

  #pass(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#options.store.clock.setTimer(ms, resolve);
    });
  }
}
