import type { Broker } from '../../broker/broker.js';
import type { FsCalls } from '../../files/fs-calls.js';
import type { RecoveryReport } from '../../measures/recovery-report.js';
import type { TransportLink } from '../talk/nats-transport.js';

export interface ServiceOptions {
  epoch: number;
  /** See `LeaseRenewer.fence`. */
  fence: () => Promise<void>;
  /** What opening the store asks of the file system goes through these. */
  calls: FsCalls;
  /** The store cannot go on, or the lease is lost: nothing is said any more. Called once. */
  onFailed(error: Error): void;
}

/** What an active runs: the store under its epoch, and the broker on it. */
export interface Service {
  readonly storeId: string;
  readonly report: RecoveryReport;
  readonly broker: Broker;
  /** Since when, by the monotonic clock, a write to the store has not ended; undefined if none is under way. */
  readonly writingSinceMs: number | undefined;
  /** Makes the next recovery short. Resolves when that is done, or cannot be. */
  checkpoint(): Promise<void>;
  /** Takes nothing more, answers what was taken, closes the store. The link stays. */
  drain(link: TransportLink | undefined): Promise<void>;
  /** Says nothing more, from this moment. Resolves when files are closed, which a hung store may keep from happening. */
  abandon(): Promise<void>;
}

/** Opens the store in a term: recovers it. @throws StoreError saying why that cannot be */
export type OpenService = (options: ServiceOptions) => Promise<Service>;
