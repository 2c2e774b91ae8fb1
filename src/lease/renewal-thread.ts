import { once } from 'node:events';
import { MessageChannel, Worker } from 'node:worker_threads';
import type { Logger } from '../log/logger.js';
import type { StartRenewer } from './lease-renewer.js';
import type { Assignment, WorkerSettings } from './renewal-messages.js';
import { SharedLease } from './shared-lease.js';
import { clockOffsetMs, ThreadedRenewer } from './threaded-renewer.js';

/** Limit of the wait for its end: a thread that waits for a hung store does not end. */
const CLOSE_MS = 1_000;
/** Limits of the thread's heap: it makes little but its reports. The old generation has room for uncompiled sources, as in tests. */
const YOUNG_MB = 2;
const OLD_MB = 64;
const NS_PER_MS = 1e6;

/**
 * The thread that renews this process's terms of one store, one after the other. It is started with the process: starting
 * it takes tens of milliseconds, which no takeover should wait for.
 */
export class RenewalThread {
  readonly #dir: string;
  readonly #log: Logger;
  #worker: Worker | undefined;

  private constructor(dir: string, log: Logger) {
    this.#dir = dir;
    this.#log = log;
  }

  /**
   * @param dir of the store
   * @throws Error if there can be no such thread
   */
  static async start(dir: string, log: Logger): Promise<RenewalThread> {
    const thread = new RenewalThread(dir, log);
    await once(thread.#begin(), 'message');
    return thread;
  }

  readonly keep: StartRenewer = (options) => {
    const { lease, state, takenMs, leaseMs } = options;
    const takenNs = BigInt(Math.round((takenMs - clockOffsetMs(options)) * NS_PER_MS));
    const shared = SharedLease.begin(lease, state, takenNs);
    const { port1, port2 } = new MessageChannel();
    const { memory, term } = shared;
    const assignment: Assignment = { port: port2, memory, term, leaseMs };
    (this.#worker ?? this.#begin()).postMessage(assignment, [port2]);
    return new ThreadedRenewer(options, shared, port1);
  };

  /** Resolves when it has ended, or does not within a second. */
  async close(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS);
    });
    await Promise.race([worker.terminate(), patience]);
    clearTimeout(timer);
  }

  #begin(): Worker {
    const settings: WorkerSettings = { dir: this.#dir };
    const worker = new Worker(entry(), {
      name: 'stanchion renewals',
      workerData: settings,
      // What the process was started with is for its main thread: profilers, hooks.
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB, maxOldGenerationSizeMb: OLD_MB },
    });
    this.#worker = worker;
    worker.on('error', (error) =>
      this.#log.error({ err: error }, 'the thread that renews the lease has failed'),
    );
    // The next term gets a new one.
    worker.once('exit', () => {
      if (this.#worker === worker) this.#worker = undefined;
    });
    worker.unref();
    return worker;
  }
}

/** The worker's file. Not compiled (in tests) it needs a loader, which a thread does not get from the one that starts it. */
function entry(): URL {
  if (import.meta.url.endsWith('.js')) return new URL('./renewal-worker.js', import.meta.url);
  const loader = import.meta.resolve('tsx/esm/api');
  const source = new URL('./renewal-worker.ts', import.meta.url);
  return new URL(
    `data:text/javascript,import { register } from '${loader}'; register(); await import('${source}');`,
  );
}
