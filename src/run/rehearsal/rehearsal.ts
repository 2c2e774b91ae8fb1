// A broker's rehearsal: `Rehearsal`.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { BrokerOptions } from '../../broker/handlers/broker-options.js';
import { bugOf } from '../../util/bug.js';
import { type MachineTimes, Pace } from './pace.js';
import { Performance } from './performance.js';

/** Brokers in one performance: what a takeover does is done this often, less one. */
const TERMS = 3;
/** A performance takes a second or two. If the machine leaves no time for it, its memory is given back for a while. */
const LIMIT_MS = 60_000;
/** Pause before the next try, after one that was stopped. */
const RETRY_MS = 5_000;

export interface RehearsalOptions {
  /** The kind of store of this process: the other one's classes would make the compiled code slower. */
  readonly kind: 'memory' | 'file';
  readonly broker: BrokerOptions;
  /** Pause after each 10 ms of work: it bounds the share of a processor. */
  readonly pauseMs: number;
  /**
   * Whether its memory is given back at its end, by a full garbage collection of some 20 ms. It is for a process that may wait for hours: a
   * broker that serves soon collects garbage by itself.
   */
  readonly collectsGarbage?: boolean;
  /** Whether the process has nothing better to do. It is asked before each slice. */
  readonly isIdle: () => boolean;
  /** Receives an exception: the rehearsal has ended, and nothing else has noticed. */
  readonly onFailed: (error: Error) => void;
  /** Where the first look at the machine begins. Default: at the start of the rehearsal. */
  readonly since?: MachineTimes;
  /** Default: this machine. */
  readonly machine?: () => MachineTimes;
  /** How many brokers serve, one after the other. Default: 3. */
  readonly terms?: number;
  /** Pause before the next try. Default: 5 s. */
  readonly retryMs?: number;
}

/**
 * Warms the hot path of a broker that has time. It takes and delivers made-up messages over an in-process link, with the production code on
 * a store in memory, so that the first real messages find compiled code. It touches no file, socket, lease or measure of the process.
 *
 * V8 throws away compiled code when no object of the classes that it was compiled for is left. So the last broker of the rehearsal is kept,
 * stopped and without its files, until `release`: a few MiB.
 */
export class Rehearsal {
  readonly #options: RehearsalOptions;
  #performance: Performance | undefined;
  #pace: Pace | undefined;
  #limit: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #kept: Performance | undefined;
  #hasEnded = false;
  #isReleased = false;

  constructor(options: RehearsalOptions) {
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#performance !== undefined;
  }

  /** Whether one went through to its end. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The one that runs, or was kept: for tests. */
  get performance(): Performance | undefined {
    return this.#performance ?? this.#kept;
  }

  /** Begins, unless it has been through. What is stopped begins again later. */
  start(): void {
    if (this.isRunning || this.#hasEnded || this.#isReleased) return;
    clearTimeout(this.#retry);
    const { kind, broker, onFailed, terms = TERMS } = this.#options;
    const pace = new Pace(this.#options);
    const performance = new Performance({ kind, broker, pace, terms });
    this.#pace = pace;
    this.#performance = performance;
    this.#limit = setTimeout(() => this.stop(), LIMIT_MS).unref();
    performance.run().then(
      () => this.#through(performance),
      (thrown: unknown) => {
        if (this.#performance !== performance) return;
        this.release();
        onFailed(bugOf(thrown));
      },
    );
  }

  /** Ends it at once: not one callback of it runs any more. It begins again in some seconds, unless it has been through. */
  stop(): void {
    this.#end();
    if (this.#hasEnded || this.#isReleased) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.start(), this.#options.retryMs ?? RETRY_MS).unref();
  }

  /** Ends it for ever, and lets go of what was kept. */
  release(): void {
    this.#isReleased = true;
    this.#end();
    clearTimeout(this.#retry);
    this.#kept = undefined;
  }

  #end(): void {
    clearTimeout(this.#limit);
    this.#pace?.stop();
    this.#performance?.stop();
    this.#pace = this.#performance = undefined;
  }

  #through(performance: Performance): void {
    if (this.#performance !== performance) return;
    this.#hasEnded = true;
    this.#end();
    this.#kept = performance;
    if (this.#options.collectsGarbage === true) collectGarbage();
  }
}

/** Gives the memory of the rehearsal back now. A process that waits would do it hours later. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof collect === 'function') collect();
}
