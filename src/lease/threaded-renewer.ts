import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { Timer } from '../clock/clock.js';
import { StoreError } from '../files/store-error.js';
import { givenUp, type LeaseRenewer, type RenewerOptions } from './lease-renewer.js';
import { RENEW, type WorkerReport } from './renewal-messages.js';
import { RenewalPace } from './renewal-pace.js';
import { RenewalRounds } from './renewal-rounds.js';
import { RENEWALS_PER_LEASE } from './renewal-rules.js';
import type { SharedLease } from './shared-lease.js';

const NS_PER_MS = 1e6;
const DONE = Promise.resolve();

/** Keeps the lease together with a worker, which renews when this thread's event loop does not come to it. */
export class ThreadedRenewer implements LeaseRenewer {
  readonly #options: RenewerOptions;
  readonly #shared: SharedLease;
  readonly #port: MessagePort;
  /** What to add to `process.hrtime` to have the clock's time. */
  readonly #offsetMs: number;
  readonly #rounds = new RenewalRounds(() => this.#askWorker());
  /** The newest batch of this term that is durable. */
  #batch = 0;
  #answer: { resolve(): void; reject(error: Error): void } | undefined;
  #onClosed: (() => void) | undefined;
  #timer: Timer | undefined;
  readonly #pace = new RenewalPace();
  #lost: Error | undefined;
  #isEnded = false;

  /** @param port to the worker that has the same term */
  constructor(options: RenewerOptions, shared: SharedLease, port: MessagePort) {
    this.#options = options;
    this.#shared = shared;
    this.#port = port;
    this.#offsetMs = clockOffsetMs(options);
    port.on('message', (report: WorkerReport) => this.#onReport(report));
    port.once('close', () => {
      this.#onClosed?.();
      if (!this.#isEnded) {
        shared.lose();
        this.#lose(new Error('The thread that renews the term has ended'));
      }
    });
    // It keeps the process alive only while a caller waits for an answer.
    port.unref();
    this.#tick();
  }

  get renewedMs(): number {
    return Number(this.#shared.begunNs) / NS_PER_MS + this.#offsetMs;
  }

  get renewalMs(): number {
    return Number(this.#shared.tookNs) / NS_PER_MS;
  }

  get counter(): number {
    return this.#shared.state.counter;
  }

  fence(batch = 0): Promise<void> {
    const shared = this.#shared;
    if (batch > this.#batch) {
      this.#batch = batch;
      shared.hasBatch(batch);
    }
    if (shared.isLost) this.#hearReports();
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    if (this.#isEnded) return Promise.reject(givenUp());
    // Where a rename takes microseconds, handing it to another thread would take ten times that.
    const { clock } = this.#options;
    if (!this.#rounds.isBusy && this.#pace.mayWait(clock.monotonicMs())) {
      if (shared.renew('main', (error) => this.#lose(error))) {
        const { renewalMs } = this;
        this.#pace.add(renewalMs, true, clock.monotonicMs());
        this.#options.onRenewed?.(renewalMs);
        return DONE;
      }
      if (this.#lost !== undefined) return Promise.reject(this.#lost);
      // The worker is renewing. That may have begun too early, so it is asked for the next one.
    }
    return this.#rounds.ask();
  }

  markServed(): Promise<void> {
    return this.fence(1);
  }

  async release(): Promise<boolean> {
    this.#end();
    if (this.#rounds.isBusy) await this.#rounds.ended();
    await this.#closed();
    if (this.#shared.isLost) this.#hearReports();
    this.#port.close();
    if (this.#lost !== undefined) return false;
    return (await this.#options.lease.release(this.#shared.state)) !== 'lost';
  }

  stop(): void {
    this.#end();
    this.#shared.close();
    this.#answer?.reject(givenUp());
    this.#port.close();
  }

  #end(): void {
    this.#isEnded = true;
    this.#timer?.cancel();
  }

  /** Ends when no renewal is under way, and none will begin. */
  async #closed(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#onClosed = resolve;
    });
    if (this.#shared.close()) return;
    this.#port.ref();
    await closed;
  }

  #askWorker(): Promise<void> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    if (this.#isEnded) return Promise.reject(givenUp());
    const answered = new Promise<void>((resolve, reject) => {
      this.#answer = { resolve, reject };
    });
    this.#port.ref();
    this.#port.postMessage(RENEW);
    return answered.finally(() => this.#port.unref());
  }

  #onReport(report: WorkerReport): void {
    switch (report.kind) {
      case 'renewed':
        this.#pace.add(this.renewalMs, false, this.#options.clock.monotonicMs());
        this.#options.onRenewed?.(this.renewalMs);
        this.#answer?.resolve();
        this.#answer = undefined;
        return;
      case 'kept':
        this.#options.onRenewed?.(report.tookMs);
        return;
      case 'lost':
        this.#lose(report.isTaken ? new StoreError('lost', report.why) : new Error(report.why));
        return;
      case 'closed':
        this.#onClosed?.();
        return;
    }
  }

  /** Now, though the event loop has not come to them. */
  #hearReports(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#port) as { message: WorkerReport } | undefined;
      if (received === undefined) return;
      this.#onReport(received.message);
    }
  }

  #lose(error: Error): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    this.#timer?.cancel();
    this.#answer?.reject(error);
    this.#answer = undefined;
    // Not in the middle of the fence that found it.
    if (!this.#isEnded) queueMicrotask(() => this.#options.onLost(error));
  }

  /** Shows the worker that this event loop turns. */
  #tick(): void {
    const { clock, leaseMs } = this.#options;
    this.#shared.tick();
    this.#timer = clock.setTimer(leaseMs / RENEWALS_PER_LEASE, () => this.#tick());
  }
}

/** What to add to `process.hrtime` milliseconds to have those of the clock. */
export function clockOffsetMs({ clock }: Pick<RenewerOptions, 'clock'>): number {
  return clock.monotonicMs() - Number(process.hrtime.bigint()) / NS_PER_MS;
}
