/**
 * The thread that renews the lease while the event loop of the main thread is busy, and wherever a rename takes its time.
 * It renews with synchronous calls in its own thread: the pool that Node has for files may be full of syncs.
 */
import os from 'node:os';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { nodeFs } from '../files/fs.js';
import { StoreError } from '../files/store-error.js';
import { must } from '../util/assert.js';
import { Lease } from './lease.js';
import { type Assignment, STARTED, type WorkerReport, type WorkerSettings } from './renewal-messages.js';
import { RENEWALS_PER_LEASE, STUCK_LEASES } from './renewal-rules.js';
import { SharedLease } from './shared-lease.js';

const NS_PER_MS = 1e6;
/** The main thread has the lock for the time of a rename. */
const LOCKED_MS = 5;

/** Renews one term until it is over. */
class Renewer {
  readonly #port: MessagePort;
  readonly #shared: SharedLease;
  readonly #leaseMs: number;
  readonly #restMs: number;
  #timer: NodeJS.Timeout | undefined;
  #ticks: number;
  #aliveNs = process.hrtime.bigint();

  constructor(lease: Lease, { port, memory, term, leaseMs }: Assignment) {
    this.#port = port;
    this.#shared = new SharedLease(lease, memory, term);
    this.#leaseMs = leaseMs;
    this.#restMs = leaseMs / RENEWALS_PER_LEASE;
    this.#ticks = this.#shared.ticks;
    port.on('message', () => this.#renewAsAsked());
    port.once('close', () => clearTimeout(this.#timer));
    this.#look();
  }

  #renewAsAsked(): void {
    if (this.#renew()) this.#say({ kind: 'renewed' });
    else if (!this.#shared.isOver) setTimeout(() => this.#renewAsAsked(), LOCKED_MS);
  }

  #look(): void {
    const nowNs = process.hrtime.bigint();
    const { ticks, begunNs } = this.#shared;
    if (ticks !== this.#ticks) {
      this.#ticks = ticks;
      this.#aliveNs = nowNs;
    }
    const dueMs = this.#restMs - Number(nowNs - begunNs) / NS_PER_MS;
    let nextMs = this.#restMs;
    if (dueMs > 0) nextMs = dueMs;
    else if (this.#isMainAlive(nowNs)) {
      if (this.#renew()) this.#say({ kind: 'kept', tookMs: Number(this.#shared.tookNs) / NS_PER_MS });
      else nextMs = LOCKED_MS;
    }
    if (!this.#shared.isOver) this.#timer = setTimeout(() => this.#look(), nextMs);
  }

  /** A hung process is to be replaced, so nothing is renewed for one. */
  #isMainAlive(nowNs: bigint): boolean {
    return Number(nowNs - this.#aliveNs) / NS_PER_MS < this.#leaseMs * STUCK_LEASES;
  }

  #renew(): boolean {
    const shared = this.#shared;
    const isRenewed = shared.renew('worker', (error) =>
      this.#say({
        kind: 'lost',
        why: error.message,
        isTaken: error instanceof StoreError && error.code === 'lost',
      }),
    );
    if (shared.isOver) this.#say({ kind: 'closed' });
    return isRenewed;
  }

  #say(report: WorkerReport): void {
    this.#port.postMessage(report);
  }
}

/** It needs microseconds, but in time, whatever else the machine does. */
function rise(): void {
  // Elsewhere this is of the process, not of the thread.
  if (process.platform !== 'linux') return;
  try {
    os.setPriority(os.constants.priority.PRIORITY_HIGH);
  } catch {
    // Not everybody may.
  }
}

rise();
const port = must(parentPort, 'this file is run by a thread');
const { dir } = workerData as WorkerSettings;
const lease = new Lease(nodeFs, dir);
port.on('message', (assignment: Assignment) => new Renewer(lease, assignment));
port.postMessage(STARTED);
