import type { Lease } from './lease.js';
import type { LeaseState, NewTerm } from './lease-state.js';
import { renewNow } from './renewal-rules.js';

/** The two threads of a member that renew its lease: the one with the event loop, and the one that does only that. */
export type RenewingThread = 'main' | 'worker';

/** Words of 32 bits, at the start. */
const LOCK = 0;
const TICKS = 1;
/** Words of 64 bits, behind them. */
const WORDS_BYTES = 8;
const COUNTER = 0;
const BEGUN_NS = 1;
const TOOK_NS = 2;
/** What the lease's name said when the term began. */
const FORMER_EPOCH = 3;
const FORMER_BATCH = 4;
/** The newest durable batch of this term, as the lease's name says, and as it is to say from the next renewal on. 0 before the first. */
const BATCH = 5;
const NEXT_BATCH = 6;
const BYTES = WORDS_BYTES + 7 * 8;

// States of the lock. From CLOSED and LOST on, neither thread renews.
const FREE = 0;
const MAIN = 1;
const WORKER = 2;
/** The worker renews for the last time. */
const WORKER_LAST = 3;
const CLOSED = 4;
const LOST = 5;
const LOCKED_BY: Record<RenewingThread, number> = { main: MAIN, worker: WORKER };

/** One term as two threads share it, in memory that both see: the thread that has the lock may renew. Each term has its own. */
export class SharedLease {
  readonly memory: SharedArrayBuffer;
  readonly term: NewTerm;
  readonly #lease: Lease;
  readonly #words: Int32Array;
  readonly #numbers: BigInt64Array;

  constructor(lease: Lease, memory: SharedArrayBuffer, term: NewTerm) {
    this.#lease = lease;
    this.memory = memory;
    this.term = term;
    this.#words = new Int32Array(memory, 0, 2);
    this.#numbers = new BigInt64Array(memory, WORDS_BYTES);
  }

  /** @param takenNs when the taking over began, by `process.hrtime.bigint()` */
  static begin(lease: Lease, state: LeaseState, takenNs: bigint): SharedLease {
    const { counter, servedEpoch, servedBatch, ...term } = state;
    const shared = new SharedLease(lease, new SharedArrayBuffer(BYTES), term);
    shared.#numbers[COUNTER] = BigInt(counter);
    shared.#numbers[FORMER_EPOCH] = BigInt(servedEpoch);
    shared.#numbers[FORMER_BATCH] = BigInt(servedBatch);
    shared.#numbers[BEGUN_NS] = takenNs;
    return shared;
  }

  /** What is known of the lease. Exact only while neither thread renews. */
  get state(): LeaseState {
    const { epoch, holder, kind, leaseMs, group } = this.term;
    const batch = this.#number(BATCH);
    const counter = this.#number(COUNTER);
    const servedEpoch = batch > 0 ? epoch : this.#number(FORMER_EPOCH);
    const servedBatch = batch > 0 ? batch : this.#number(FORMER_BATCH);
    // There is one for each batch. A spread would take V8 two microseconds here.
    const state: LeaseState = { epoch, counter, servedEpoch, servedBatch, kind, leaseMs, holder };
    if (group !== undefined) state.group = group;
    return state;
  }

  #number(at: number): number {
    return Number(Atomics.load(this.#numbers, at));
  }

  /** When the newest renewal that succeeded began, by `process.hrtime.bigint()`, which all threads of a process share. */
  get begunNs(): bigint {
    return Atomics.load(this.#numbers, BEGUN_NS);
  }

  /** How long that one took. */
  get tookNs(): bigint {
    return Atomics.load(this.#numbers, TOOK_NS);
  }

  /** Grows while the event loop of the main thread turns. */
  get ticks(): number {
    return Atomics.load(this.#words, TICKS);
  }

  tick(): void {
    Atomics.add(this.#words, TICKS, 1);
  }

  /** Each renewal that begins after this call says that this batch of the term is durable, in whichever thread. */
  hasBatch(batch: number): void {
    Atomics.store(this.#numbers, NEXT_BATCH, BigInt(batch));
  }

  get isLost(): boolean {
    return Atomics.load(this.#words, LOCK) === LOST;
  }

  /** No thread will renew again. */
  get isOver(): boolean {
    return Atomics.load(this.#words, LOCK) >= CLOSED;
  }

  /**
   * Renews in the calling thread, if no other is at it.
   *
   * @param onLost called before other threads can see it
   * @returns whether it was renewed
   */
  renew(by: RenewingThread, onLost: (error: Error) => void): boolean {
    const words = this.#words;
    const mine = LOCKED_BY[by];
    if (Atomics.compareExchange(words, LOCK, FREE, mine) !== FREE) return false;
    const begunNs = process.hrtime.bigint();
    try {
      const batch = Number(Atomics.load(this.#numbers, NEXT_BATCH));
      const { counter, servedEpoch, servedBatch } = renewNow(this.#lease, this.state, batch);
      Atomics.store(this.#numbers, COUNTER, BigInt(counter));
      if (servedEpoch === this.term.epoch) Atomics.store(this.#numbers, BATCH, BigInt(servedBatch));
    } catch (error) {
      onLost(error as Error);
      Atomics.store(words, LOCK, LOST);
      return false;
    }
    Atomics.store(this.#numbers, BEGUN_NS, begunNs);
    Atomics.store(this.#numbers, TOOK_NS, process.hrtime.bigint() - begunNs);
    // Only `close` changes the lock while this thread has it: then this renewal was the last.
    if (Atomics.compareExchange(words, LOCK, mine, FREE) !== mine) Atomics.store(words, LOCK, CLOSED);
    return true;
  }

  /**
   * From this moment no renewal begins. For the main thread.
   *
   * @returns false while the worker is in the middle of its last one
   */
  close(): boolean {
    const words = this.#words;
    for (;;) {
      if (Atomics.compareExchange(words, LOCK, FREE, CLOSED) === FREE) return true;
      const seen = Atomics.compareExchange(words, LOCK, WORKER, WORKER_LAST);
      if (seen === WORKER || seen === WORKER_LAST) return false;
      if (seen !== FREE) return true;
    }
  }

  /** The term is over for this thread, whatever the other one finds. */
  lose(): void {
    Atomics.store(this.#words, LOCK, LOST);
  }
}
