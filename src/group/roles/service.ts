import type { Broker } from '../../broker/broker.js';
import type { FsCalls } from '../../files/fs-calls.js';
import type { Served } from '../../lease/lease-state.js';
import type { RecoveryReport } from '../../measures/recovery-report.js';
import type { TransportLink } from '../talk/nats-transport.js';

export interface ServiceOptions {
  epoch: number;
  /** What was durable for certain when this term took the lease. */
  served: Served;
  /** See `LeaseRenewer.fence`. */
  fence: (batch?: number) => Promise<void>;
  /** The calls to the file system that opening the store makes. */
  calls: FsCalls;
  /** The store cannot go on, or the lease is lost: no more answers are sent. Called once. */
  onFailed(error: Error): void;
}

/** The service that an active runs: the store in its epoch, and the broker on it. */
export interface Service {
  readonly storeId: string;
  readonly report: RecoveryReport;
  readonly broker: Broker;
  /** See `FileStore.isSynced`. */
  readonly isSynced: boolean;
  /** The begin of the oldest write to the store under way, in monotonic milliseconds; undefined if there is none. */
  readonly writingSinceMs: number | undefined;
  /** Writes a checkpoint, to make the next recovery short. Resolves when it is done, or impossible. */
  checkpoint(): Promise<void>;
  /** Takes no more requests, answers those that were taken, and closes the store. The link stays. */
  drain(link: TransportLink | undefined): Promise<void>;
  /** Sends no more answers from this moment. Resolves when files are closed, which may never happen with a hung store. */
  abandon(): Promise<void>;
}

/** Opens and recovers the store in a term. @throws StoreError saying why that is impossible */
export type OpenService = (options: ServiceOptions) => Promise<Service>;
