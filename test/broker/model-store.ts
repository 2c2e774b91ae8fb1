import { RecentGuids } from '../../src/dedup/recent-guids.js';
import type { PubMsgView } from '../../src/protocol/pubmsg.js';
import { MemoryStore } from '../../src/store/memory/memory-store.js';
import type {
  BatchId,
  ChannelLog,
  ClientRecord,
  LogLimits,
  MessageRef,
  RecoveredState,
  SequenceRanges,
  StoreHost,
  SubscriptionRecord,
} from '../../src/store/types/store.js';
import type { ManualClock } from '../clock/manual-clock.js';

/** Something asynchronous of the store that ends when the test wants it. */
export interface Unfinished {
  finish(): void;
  fail(error: Error): void;
}

/** A search for a time is told of right before its end. */
export interface Search extends Unfinished {
  onFound: ((sequence: number) => void) | undefined;
}

interface Kept {
  record: SubscriptionRecord;
  pending: Set<number>;
}

/**
 * A memory store that can do what only the one in files does: commit late, not have a message in memory, take its time to
 * search, and be recovered with what its records say.
 */
export class ModelStore extends MemoryStore {
  override recovered: RecoveredState = {
    clients: [],
    subscriptions: [],
    logs: [],
    nextSession: 1,
    nextSubscriptionId: 1,
    recentGuids: new RecentGuids(1),
  };
  /** Reads that are under way, in the order of their start. */
  readonly loads: Unfinished[] = [];
  readonly searches: Search[] = [];
  readonly logs = new Map<number, ColdLog>();
  /** Commits wait for `releaseCommits`. */
  isSlow = false;
  /** Something has been appended that is not committed. */
  hasGathered = false;
  /** A record about a subscription that the store does not know. */
  strayRecords = 0;
  #isCommitHeld = false;
  #nextSubscriptionId = 1;
  readonly #clients = new Map<string, ClientRecord>();
  readonly #subscriptions = new Map<number, Kept>();
  readonly #onCommit: () => void;

  constructor(clock: ManualClock, onCommit: () => void) {
    super({ clock, random: (size) => Buffer.alloc(size, 7) });
    this.#onCommit = onCommit;
  }

  override attach(host: StoreHost): void {
    super.attach({
      onCommitted: (batch: BatchId) => {
        this.hasGathered = false;
        this.#onCommit();
        host.onCommitted(batch);
      },
      snapshot: (sink) => host.snapshot(sink),
      onFailed: (error) => host.onFailed(error),
      onFullChanged: (reason) => host.onFullChanged(reason),
      onRoom: () => host.onRoom(),
    });
  }

  protected override gather(): void {
    this.hasGathered = true;
    super.gather();
  }

  override commit(): void {
    if (this.isSlow) this.#isCommitHeld = true;
    else super.commit();
  }

  releaseCommits(): void {
    this.isSlow = false;
    if (!this.#isCommitHeld) return;
    this.#isCommitHeld = false;
    super.commit();
  }

  override createLog(name: string, limits: LogLimits): ChannelLog {
    const log = new ColdLog(super.createLog(name, limits), this);
    this.logs.set(log.id, log);
    return log;
  }

  override deleteLog(log: ChannelLog): void {
    this.logs.delete(log.id);
    super.deleteLog((log as ColdLog).inner);
  }

  override putClient(record: ClientRecord): void {
    super.putClient(record);
    this.#clients.set(record.clientId, record);
  }

  override removeClient(clientId: string): void {
    super.removeClient(clientId);
    this.#clients.delete(clientId);
  }

  override putSubscription(record: SubscriptionRecord): void {
    super.putSubscription(record);
    this.#nextSubscriptionId = Math.max(this.#nextSubscriptionId, record.id + 1);
    const pending = this.#subscriptions.get(record.id)?.pending ?? new Set<number>();
    this.#subscriptions.set(record.id, { record: { ...record }, pending });
  }

  override removeSubscription(id: number): void {
    super.removeSubscription(id);
    if (!this.#subscriptions.delete(id)) this.strayRecords++;
  }

  /** Nothing has been done that is not committed. */
  get isSettled(): boolean {
    return !this.hasNotedProgress && !this.hasGathered;
  }

  protected override writeProgress(id: number, delivered: SequenceRanges, acked: SequenceRanges): void {
    super.writeProgress(id, delivered, acked);
    const kept = this.#subscriptions.get(id);
    if (kept === undefined) {
      this.strayRecords++;
      return;
    }
    for (const sequence of expanded(delivered)) {
      kept.pending.add(sequence);
      kept.record.lastSent = Math.max(kept.record.lastSent, sequence);
    }
    for (const sequence of expanded(acked)) kept.pending.delete(sequence);
  }

  /** What is recorded of the subscriptions, to be compared with a snapshot. */
  kept(): Map<number, Kept> {
    return this.#subscriptions;
  }

  /** The next broker finds what the records say. */
  recover(): void {
    if (this.hasGathered) throw new Error('what is not committed would have to be forgotten');
    const subscriptions = [...this.#subscriptions.values()];
    this.recovered = {
      clients: [...this.#clients.values()],
      subscriptions: subscriptions.map(({ record, pending }) => ({
        record: { ...record },
        pending: [...pending].sort((a, b) => a - b),
      })),
      logs: [...this.logs.values()],
      nextSession: Math.max(0, ...[...this.#clients.values()].map(({ session }) => session)) + 1,
      nextSubscriptionId: this.#nextSubscriptionId,
      recentGuids: this.recovered.recentGuids,
    };
    this.loads.length = this.searches.length = 0;
  }
}

/** A log whose messages are not all in memory. */
export class ColdLog implements ChannelLog {
  /** Messages up to this one have to be loaded. */
  coldUpTo = 0;
  readonly #warm = new Set<number>();

  constructor(
    readonly inner: ChannelLog,
    private readonly owner: { loads: Unfinished[]; searches: Search[] },
  ) {}

  get id(): number {
    return this.inner.id;
  }
  get name(): string {
    return this.inner.name;
  }
  get firstSequence(): number {
    return this.inner.firstSequence;
  }
  get lastSequence(): number {
    return this.inner.lastSequence;
  }
  get messageCount(): number {
    return this.inner.messageCount;
  }
  get newestMessage(): number {
    return this.inner.newestMessage;
  }
  get byteCount(): number {
    return this.inner.byteCount;
  }
  get lastActivityMs(): number {
    return this.inner.lastActivityMs;
  }

  setLimits(limits: LogLimits): void {
    this.inner.setLimits(limits);
  }

  expire(): boolean {
    return this.inner.expire();
  }

  append(message: PubMsgView, session: number): number {
    return this.inner.append(message, session);
  }

  find(sequence: number, ref: MessageRef): boolean {
    if (sequence <= this.coldUpTo && !this.#warm.has(sequence)) return false;
    return this.inner.find(sequence, ref);
  }

  skipLost(sequence: number): number {
    return this.inner.skipLost(sequence);
  }

  /** The memory for messages is full: they have to be loaded again. */
  cool(upTo: number): void {
    this.coldUpTo = upTo;
    this.#warm.clear();
  }

  load(sequence: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.owner.loads.push({
        finish: () => {
          this.#warm.add(sequence);
          this.#warm.add(sequence + 1);
          resolve();
        },
        fail: reject,
      });
    });
  }

  sequenceAtTime(timestampNs: bigint): Promise<number> {
    let found = 0;
    void this.inner.sequenceAtTime(timestampNs).then((sequence) => {
      found = sequence;
    });
    return new Promise((resolve, reject) => {
      const search: Search = {
        onFound: undefined,
        finish: () => {
          search.onFound?.(found);
          resolve(found);
        },
        fail: reject,
      };
      this.owner.searches.push(search);
    });
  }
}

function* expanded(ranges: SequenceRanges): Iterable<number> {
  for (let i = 0; i < ranges.length; i += 2) {
    for (let sequence = ranges[i]!; sequence <= ranges[i + 1]!; sequence++) yield sequence;
  }
}
