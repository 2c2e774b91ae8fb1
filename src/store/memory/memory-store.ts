import { BelievedTime } from '../../clock/believed-time.js';
import type { Clock, Timer } from '../../clock/clock.js';
import { guarded, guardedClock } from '../../clock/guarded-clock.js';
import { RecentGuids } from '../../dedup/recent-guids.js';
import { Measures } from '../../measures/measures.js';
import { assert } from '../../util/assert.js';
import { bugOf } from '../../util/bug.js';
import { SLICE_MS } from '../../util/turns.js';
import { AgeQueue } from '../log/age-queue.js';
import { NotedProgress, type Progress, type WriteProgress, writeOne } from '../types/progress.js';
import type {
  Admission,
  BatchId,
  ChannelLog,
  ClientRecord,
  LogLimits,
  RecoveredState,
  SequenceRanges,
  Store,
  StoreHost,
  SubscriptionRecord,
} from '../types/store.js';
import { newStoreId, type RandomBytes, randomSeed } from '../types/store-id.js';
import { StoreTime } from '../types/store-time.js';
import { Unreadable } from '../types/unreadable.js';
import { ChunkPool } from './chunk.js';
import { MemoryLog, type MemoryLogParts } from './memory-log.js';

export interface MemoryStoreOptions {
  clock: Clock;
  random: RandomBytes;
  /** Where what limits drop is noted. Default: nowhere. */
  measures?: Measures;
  /** Gets a sentence when a clock jumps. Default: it is dropped. */
  warn?: (message: string) => void;
}

/**
 * The store without the disk: what is committed is 'durable' in the same turn of the event loop. Clients, subscriptions
 * and progress are the host's alone, since nothing survives the process.
 */
export class MemoryStore implements Store {
  readonly kind = 'memory';
  readonly unreadable = new Unreadable();
  readonly segmentProblems = [];
  readonly shortage = undefined;
  readonly storeId: string;
  readonly recovered: RecoveredState;
  readonly fullReason = undefined;
  readonly pendingBytes = 0;
  readonly believed: BelievedTime;
  gathering: BatchId = 1;
  committed: BatchId = 0;
  readonly #clock: Clock;
  readonly #time: StoreTime;
  readonly #ages = new AgeQueue();
  readonly #logParts: MemoryLogParts;
  #host: StoreHost | undefined;
  #nextLogId = 1;
  /** Something joined the gathering batch. */
  #gathered = false;
  #announcing = false;
  #lazyTimer: Timer | undefined;
  #closed = false;
  #hasFailed = false;
  readonly #onThrown = (thrown: unknown): void => this.fail(bugOf(thrown));
  readonly #noted = new NotedProgress();

  constructor(options: MemoryStoreOptions) {
    const clock = guardedClock(options.clock, this.#onThrown);
    this.#clock = clock;
    this.storeId = newStoreId(options.random);
    this.recovered = {
      clients: [],
      subscriptions: [],
      logs: [],
      nextSession: 1,
      nextSubscriptionId: 1,
      recentGuids: new RecentGuids(randomSeed(options.random)),
    };
    const { warn = () => {} } = options;
    this.believed = new BelievedTime({ clock, warn });
    const time = new StoreTime(clock, this.believed, warn);
    this.#time = time;
    this.#logParts = {
      time,
      ages: this.#ages,
      chunks: new ChunkPool(),
      drops: (options.measures ?? new Measures()).drops,
      gather: () => this.gather(),
    };
  }

  admit(): Admission {
    return 'yes';
  }

  attach(host: StoreHost): void {
    this.#host = host;
  }

  get appended(): BatchId {
    return this.#gathered ? this.gathering : this.gathering - 1;
  }

  get timeMs(): number {
    return this.#time.ms;
  }

  get timeLeadMs(): number {
    return this.#time.leadMs;
  }

  get timeProblem(): string | undefined {
    return this.#time.problem;
  }

  nowNs(): bigint {
    this.#time.look();
    return this.#time.nowNs;
  }

  createLog(name: string, limits: LogLimits): ChannelLog {
    this.gather();
    return new MemoryLog(this.#logParts, this.#nextLogId++, name, limits, this.#time.stampMs);
  }

  deleteLog(log: ChannelLog): void {
    assert(log instanceof MemoryLog, 'a log is given back to the store that made it');
    this.gather();
    this.#ages.remove(log);
  }

  expire(): void {
    this.#time.look();
    const endMs = this.#clock.monotonicMs() + SLICE_MS;
    this.#ages.dropExpired(this.#time.nowMs, () => this.#clock.monotonicMs() >= endMs);
  }

  expireInMs(): number {
    return Math.max(0, this.#ages.nextMs() - this.#time.nowMs);
  }

  putClient(_record: ClientRecord): void {
    this.gather();
  }

  removeClient(_clientId: string): void {
    this.gather();
  }

  putSubscription(_record: SubscriptionRecord): void {
    this.gather();
  }

  removeSubscription(_id: number): void {
    this.gather();
  }

  noteProgress(progress: Progress): void {
    if (this.#noted.add(progress)) this.commitLater();
  }

  recordProgress(progress: Progress): void {
    writeOne(progress, this.#writeProgress);
  }

  recordNotedProgress(): void {
    this.#noted.write(this.#writeProgress);
  }

  recordDelivered(id: number, delivered: SequenceRanges): void {
    this.writeProgress(id, delivered, []);
  }

  protected writeProgress(_id: number, _delivered: SequenceRanges, _acked: SequenceRanges): void {
    this.gather();
  }

  protected get hasNotedProgress(): boolean {
    return !this.#noted.isEmpty;
  }

  readonly #writeProgress: WriteProgress = (id, delivered, acked) => this.writeProgress(id, delivered, acked);

  /** Opens the batch, if this is the first thing in it. */
  protected gather(): void {
    if (this.#gathered) return;
    this.#gathered = true;
    this.#time.advance();
  }

  commit(): void {
    if (!this.#gathered || this.#announcing || this.#host === undefined) return;
    this.#announcing = true;
    // Never from within an append: the host finishes its turn first.
    queueMicrotask(this.#announce);
  }

  commitLater(): void {
    if (this.#lazyTimer !== undefined || this.#closed) return;
    this.#lazyTimer = this.#clock.setTimer(LAZY_COMMIT_MS, () => {
      this.#lazyTimer = undefined;
      this.recordNotedProgress();
      this.commit();
    });
  }

  /** There is no disk. */
  touch(): void {}

  fail(error: Error): void {
    if (this.#hasFailed || this.#closed) return;
    this.#hasFailed = true;
    this.#lazyTimer?.cancel();
    this.#host?.onFailed(error);
  }

  async close(): Promise<void> {
    if (!this.#hasFailed) this.commit();
    this.#closed = true;
    this.#lazyTimer?.cancel();
    await Promise.resolve();
  }

  readonly #announce = guarded(() => {
    this.#announcing = false;
    if (this.#hasFailed) return;
    this.recordNotedProgress();
    this.#gathered = false;
    this.committed = this.gathering++;
    this.#host?.onCommitted(this.committed);
  }, this.#onThrown);
}

const LAZY_COMMIT_MS = 15;
