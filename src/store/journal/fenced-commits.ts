import type { Clock } from '../../clock/clock.js';
import { StoreError } from '../../files/store-error.js';
import type { Measures } from '../../measures/measures.js';
import { assert } from '../../util/assert.js';
import { bugOf } from '../../util/bug.js';
import type { BatchId } from '../types/store.js';

export interface FencedCommitsOptions {
  clock: Clock;
  measures: Measures;
  /** Ends when everything that was durable before the call may be reported. Fails when the lease is lost. It is given the newest batch's number. */
  fence: ((batch?: number) => Promise<void>) | undefined;
  /** Whether what is written is durable: else the lease must not say so. */
  isSynced: boolean;
  onCommitted: (batch: BatchId) => void;
  onFailed: (error: Error) => void;
}

interface Waiter {
  batch: BatchId;
  resolve: () => void;
  reject: (error: Error) => void;
}

/**
 * Which batches are committed: durable, and then fenced. One fence covers all batches that were durable when it began, and runs while
 * the next batch is being written.
 */
export class FencedCommits {
  committed: BatchId = 0;
  readonly #options: FencedCommitsOptions;
  #durable: BatchId = 0;
  #isFencing = false;
  #stopped: Error | undefined;
  #waiters: Waiter[] = [];

  constructor(options: FencedCommitsOptions) {
    this.#options = options;
  }

  /** This batch is written. `announce` has to be called before long. */
  written(batch: BatchId): void {
    assert(batch === this.#durable + 1, 'batches become durable in order');
    this.#durable = batch;
  }

  /** Fences what is durable, if anything is, and no fence is under way. */
  announce(): void {
    const { fence, clock, measures, isSynced, onFailed } = this.#options;
    if (fence === undefined) {
      this.#commit(this.#durable);
      return;
    }
    if (this.#isFencing || this.#durable === this.committed) return;
    this.#isFencing = true;
    const covered = this.#durable;
    const begunMs = clock.monotonicMs();
    // The first batch of the term is its term record.
    fence(isSynced ? covered + 1 : 0).then(
      () => {
        this.#isFencing = false;
        measures.fence.observe((clock.monotonicMs() - begunMs) / 1e3);
        if (this.#stopped !== undefined) return;
        try {
          this.#commit(covered);
          this.announce();
        } catch (thrown) {
          onFailed(bugOf(thrown));
        }
      },
      (error: unknown) => onFailed(error as Error),
    );
  }

  whenCommitted(batch: BatchId): Promise<void> {
    if (batch <= this.committed) return Promise.resolve();
    if (this.#stopped !== undefined)
      return Promise.reject(new StoreError('closed', 'The store was closed before the batch was durable'));
    return new Promise((resolve, reject) => this.#waiters.push({ batch, resolve, reject }));
  }

  fence(): Promise<void> {
    return this.#options.fence?.() ?? Promise.resolve();
  }

  /** Nothing is committed any more. */
  stop(error: Error): void {
    this.#stopped = error;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  #commit(batch: BatchId): void {
    assert(batch >= this.committed, 'what is committed stays so');
    this.committed = batch;
    this.#options.onCommitted(batch);
    if (this.#waiters.length === 0) return;
    const due = this.#waiters.filter((waiter) => waiter.batch <= batch);
    this.#waiters = this.#waiters.filter((waiter) => waiter.batch > batch);
    for (const waiter of due) waiter.resolve();
  }
}
