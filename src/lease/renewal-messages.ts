import type { MessagePort } from 'node:worker_threads';
import type { NewTerm } from './lease-state.js';

/** What the worker is started with. */
export interface WorkerSettings {
  /** The store's directory. */
  dir: string;
}

/** A term for the worker to renew until it is over. Its port is for it alone. */
export interface Assignment {
  port: MessagePort;
  memory: SharedArrayBuffer;
  term: NewTerm;
  /** How long the process that has the lease may be silent: at most as long as the lease's name says. */
  leaseMs: number;
}

/** To the worker: renew now, and say when that is done. */
export const RENEW = 'renew';

/** From the worker. */
export type WorkerReport =
  | { kind: 'renewed' }
  /** Renewed because it was time. A request that is under way still waits for its own answer. */
  | { kind: 'kept'; tookMs: number }
  /** @param isTaken by another holder; else the store cannot be reached */
  | { kind: 'lost'; why: string; isTaken: boolean }
  /** The last renewal has ended, and none will follow. */
  | { kind: 'closed' };

/** The worker's first message to its process: it has begun. */
export const STARTED = 'started';
